import { hash } from "node:crypto";
import type { RedisConnection } from "../redis/redis-connection.ts";

export type ScriptArgument = string | number | Buffer;

/** A Lua script. Replies in bulk are buffers. */
export interface Script {
  run(redis: RedisConnection, keys: readonly string[], args: readonly ScriptArgument[]): Promise<unknown>;
}

/** Sends the digest of the script, and its text to a Redis that does not know it. */
export function defineScript(lua: string): Script {
  const digest = hash("sha1", lua);
  return {
    async run(redis, keys, args) {
      const rest = [keys.length, ...keys, ...args];
      try {
        return await redis.callBuffer("EVALSHA", [digest, ...rest]);
      } catch (error) {
        if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
        return await redis.callBuffer("EVAL", [lua, ...rest]);
      }
    },
  };
}

import { hash } from "node:crypto";
import type { RedisConnection } from "@mythic/shared/redis";

/** A Lua script; gives its reply. */
export type Script = (
  redis: RedisConnection,
  keys: readonly string[],
  args: readonly (string | number)[],
) => Promise<unknown>;

/** Sends the digest of the script, and its text to a Redis that does not know it. */
export function defineScript(lua: string): Script {
  const digest = hash("sha1", lua);
  return async (redis, keys, args) => {
    const rest = [keys.length, ...keys, ...args];
    try {
      return await redis.call("EVALSHA", [digest, ...rest]);
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
      return await redis.call("EVAL", [lua, ...rest]);
    }
  };
}

import { randomUUID } from "node:crypto";
import type { GuardedRedis } from "../../redis/guarded-redis.ts";
import type { ProcessSums } from "./cache-stats.ts";

/** A process that was silent for so long is not counted with the others, and the key is gone when all of them are. */
const SILENCE_MS = 15_000;

/** The server's clock is the one that all processes share. */
const NOW = `local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)`;

/** KEYS: the hash. ARGV: name of the process, its sums as JSON, time to live in ms. */
const WRITE = `${NOW}
redis.call("HSET", KEYS[1], ARGV[1], string.format("%.0f ", now) .. ARGV[2])
redis.call("PEXPIRE", KEYS[1], ARGV[3])`;

/** KEYS: the hash. Gives the time, and all fields with their values. */
const READ = `${NOW}
return { string.format("%.0f", now), redis.call("HGETALL", KEYS[1]) }`;

/**
 * Where processes leave their sums for each other: a hash in Redis, with a field for each process. There is one key to read, whatever
 * the number of processes, and one slot of a Cluster that holds it. Nothing here rejects: without Redis each process knows of itself alone.
 */
export class StatsExchange {
  readonly #redis: GuardedRedis;
  readonly #key: string;
  readonly #name: string = randomUUID();

  constructor(redis: GuardedRedis, namespace: string) {
    this.#redis = redis;
    this.#key = `${namespace}:stats`;
  }

  async write(own: ProcessSums): Promise<void> {
    const sums = JSON.stringify(own);
    await this.#try((redis) => redis.eval(WRITE, 1, this.#key, this.#name, sums, SILENCE_MS));
  }

  /** The sums of the other processes that live. */
  async readOthers(): Promise<readonly ProcessSums[]> {
    const reply = await this.#try((redis) => redis.eval(READ, 1, this.#key));
    const { now, fields } = readReply(reply);
    const others = fields.filter(({ name }) => name !== this.#name);
    const silent = others.filter(({ at }) => now - at > SILENCE_MS).map(({ name }) => name);
    if (silent.length > 0) void this.#try((redis) => redis.hdel(this.#key, ...silent));
    return others.flatMap(({ at, sums }) => (now - at > SILENCE_MS || sums === null ? [] : [sums]));
  }

  /** Takes this process's sums away. */
  async leave(): Promise<void> {
    await this.#try((redis) => redis.hdel(this.#key, this.#name));
  }

  async #try(commands: Parameters<GuardedRedis["run"]>[0]): Promise<unknown> {
    try {
      return await this.#redis.run(commands);
    } catch {
      return null;
    }
  }
}

interface Field {
  readonly name: string;
  readonly at: number;
  readonly sums: ProcessSums | null;
}

function readReply(reply: unknown): { readonly now: number; readonly fields: readonly Field[] } {
  if (!Array.isArray(reply)) return { now: 0, fields: [] };
  const [now, flat]: unknown[] = reply;
  const texts = Array.isArray(flat) ? flat.map(String) : [];
  const fields = texts.flatMap((name, index) =>
    index % 2 === 0 ? readField(name, texts[index + 1] ?? "") : [],
  );
  return { now: Number(now), fields };
}

function readField(name: string, text: string): Field {
  const space = text.indexOf(" ");
  return { name, at: Number(text.slice(0, space)), sums: parseSums(text.slice(space + 1)) };
}

/** Another version of the program may have written it. */
function parseSums(json: string): ProcessSums | null {
  try {
    const sums: Partial<ProcessSums> | null = JSON.parse(json);
    const isComplete = typeof sums?.startedAt === "number" && typeof sums.families === "object";
    return isComplete ? (sums as ProcessSums) : null;
  } catch {
    return null;
  }
}

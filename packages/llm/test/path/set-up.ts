import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, expect } from "@jest/globals";
import { type Cache, openCache } from "@mythic/shared/cache";
import { type GuardedRedis, openGuardedRedis, waitForRedis } from "@mythic/shared/redis";
import { type FakeOpenAi, startFakeOpenAi } from "@mythic/testing/fake-openai";
import { redisTimeoutMs, redisUrl } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import { Redis } from "ioredis";
import type { Answers } from "../../src/answers/answers.ts";
import { type AnswersOptions, openAnswers } from "../../src/open-answers.ts";
import { priceOf } from "../../src/upstream/prices.ts";
import { Upstream, Upstreams } from "../../src/upstream/upstreams.ts";
import { MemoryLedger } from "../memory-ledger.ts";
import { answersFamily, HOUR_MS, SECRET } from "./shared.ts";

export { HOUR_MS } from "./shared.ts";

/** The way to the models in one process, as far as Redis can tell. */
export interface Member {
  readonly answers: Answers;
  readonly cache: Cache<{ readonly answers: typeof answersFamily }>;
  /** See `OpenAnswers`. */
  forget(user: string): Promise<void>;
  readonly redis: GuardedRedis | null;
}

interface MemberOptions
  extends Partial<
    Pick<AnswersOptions, "callsAtOnce" | "encryptionKeys" | "leaseMs" | "timeoutMs" | "userLimits">
  > {
  /** What the endpoint answers as, by the name of a model. */
  readonly aliases?: ReadonlyMap<string, readonly string[]>;
  /** False: answers are kept in the ledger alone. */
  readonly keeps?: boolean;
  /** Of Redis. Unless told patient with the one that all share, and as in production with one of the test's own. */
  readonly commandTimeoutMs?: number;
}

/** An endpoint and a ledger with processes in front of them, and a clock of their own. */
export interface House {
  readonly fake: FakeOpenAi;
  readonly ledger: MemoryLedger;
  open(options?: MemberOptions): Promise<Member>;
  now(): Date;
  /** The clock stands still otherwise. */
  pass(ms: number): void;
  /** All that is in Redis of this house, keys and values. Empty without Redis. */
  dump(): Promise<string>;
  /** Removes them. */
  wipe(): Promise<void>;
  /** How long each key of it is kept, in milliseconds; -1 for ever. */
  ttls(): Promise<ReadonlyMap<string, number>>;
}

/** Null: without Redis. A function: a server of the test's own. */
export type WhichRedis = "shared" | null | (() => string);

/** Makes houses for the tests of a file or a block; each is gone with its test. */
export function useHouses(which: WhichRedis): { build(): Promise<House> } {
  let stack = new AsyncDisposableStack();
  let shared: string | null = null;

  beforeAll(async () => {
    if (which === "shared") shared = await redisUrl();
  });
  afterEach(async () => {
    await stack.disposeAsync();
    stack = new AsyncDisposableStack();
  });
  afterAll(() => stack.disposeAsync());

  return {
    async build() {
      const url = typeof which === "function" ? which() : shared;
      return await buildHouse(stack, url);
    },
  };
}

async function buildHouse(stack: AsyncDisposableStack, url: string | null): Promise<House> {
  const fake = stack.use(await startFakeOpenAi());
  const ledger = new MemoryLedger();
  const namespace = `test-${randomUUID()}`;
  ledger.now = new Date();

  async function open(options: MemberOptions = {}): Promise<Member> {
    const {
      aliases = new Map(),
      keeps = true,
      commandTimeoutMs = await redisTimeoutMs(url),
      ...rest
    } = options;
    const redis = url === null ? null : openGuardedRedis(url, { probeAfterMs: 200, commandTimeoutMs });
    if (redis !== null) {
      stack.defer(() => redis.close());
      expect(await waitForRedis(redis, 10_000)).toBe(true);
    }
    const cache = openCache({ namespace, families: { answers: answersFamily }, redis });
    stack.defer(() => cache.close());
    if (redis !== null) await waitFor(() => cache.health().status === "ok", { what: "the cache to listen" });
    const { baseUrl } = fake;
    const upstream = new Upstream({
      name: "fake",
      baseUrl,
      apiKey: "key",
      models: ["*"],
      prices: priceOf,
      aliases,
    });
    const { answers, ...opened } = openAnswers({
      upstreams: new Upstreams([upstream]),
      ledger,
      secret: SECRET,
      redis,
      namespace,
      family: keeps ? cache.families.answers : null,
      ttlMs: HOUR_MS,
      timeoutMs: 20_000,
      now: () => ledger.now,
      ...rest,
    });
    stack.use(opened);
    return { answers, cache, redis, forget: opened.forget };
  }

  return {
    fake,
    ledger,
    open,
    now: () => ledger.now,
    pass(ms) {
      ledger.now = new Date(ledger.now.getTime() + ms);
    },
    async wipe() {
      if (url !== null) await inspect(url, (client) => wipe(client, namespace));
    },
    dump: async () => (url === null ? "" : await inspect(url, (client) => dumpOf(client, namespace))),
    ttls: async () => (url === null ? new Map() : await inspect(url, (client) => ttlsOf(client, namespace))),
  };
}

async function inspect<Value>(url: string, look: (client: Redis) => Promise<Value>): Promise<Value> {
  const client = new Redis(url);
  try {
    return await look(client);
  } finally {
    client.disconnect();
  }
}

async function wipe(client: Redis, namespace: string): Promise<void> {
  const keys = await client.keys(`*${namespace}*`);
  if (keys.length > 0) await client.del(keys);
}

async function ttlsOf(client: Redis, namespace: string): Promise<ReadonlyMap<string, number>> {
  const keys = await client.keys(`*${namespace}*`);
  return new Map(await Promise.all(keys.map(async (key) => [key, await client.pttl(key)] as const)));
}

async function dumpOf(client: Redis, namespace: string): Promise<string> {
  const parts: string[] = [];
  for (const key of await client.keys(`*${namespace}*`)) {
    const type = await client.type(key);
    parts.push(`${key} ${type}`);
    if (type === "string") parts.push((await client.getBuffer(key))?.toString("latin1") ?? "");
    if (type === "list") parts.push(...(await client.lrange(key, 0, -1)));
    if (type === "stream") parts.push(JSON.stringify(await client.xrange(key, "-", "+")));
    if (type === "hash") parts.push(JSON.stringify(await client.hgetall(key)));
    if (type === "zset") parts.push(...(await client.zrange(key, "0", "-1")));
    if (type === "set") parts.push(...(await client.smembers(key)));
  }
  return parts.join("\n");
}

import { createHash } from "node:crypto";
import type { GuardedRedis } from "../redis/index.ts";
import type { Charge } from "./charge.ts";
import type { Adjustment, Judgement, Purpose, Stake } from "./gcra.ts";
import { ADJUST, TAKE } from "./gcra-script.ts";

/** A script with what it is given. */
interface Call {
  readonly lua: string;
  readonly digest: string;
  readonly keys: string[];
  readonly words: string;
}

const TAKE_DIGEST = digestOf(TAKE);
const ADJUST_DIGEST = digestOf(ADJUST);

/** The limits as all processes see them. */
export class RedisTier {
  readonly #redis: GuardedRedis;

  constructor(redis: GuardedRedis) {
    this.#redis = redis;
  }

  get isAway(): boolean {
    return this.#redis.breaker.state !== "closed";
  }

  /** Null when Redis is away; why is known to its breaker. Never rejects. */
  take(charges: readonly Charge[], purpose: Purpose, stakes: readonly Stake[]): Promise<Judgement | null> {
    const keys: string[] = [];
    let words: string = purpose;
    for (const { key, chargeMs, slackMs } of charges) {
      keys.push(key);
      words += ` ${chargeMs} ${slackMs}`;
    }
    for (const { creditMs, aheadMs } of stakes) words += ` ${creditMs} ${aheadMs}`;
    const call = { lua: TAKE, digest: TAKE_DIGEST, keys, words };
    const read = (reply: unknown) => judgementOf(charges, reply);
    // Every check goes through here, and each further promise costs as much as a key.
    return this.#run(call).then(read, (error) => this.#runWhole(call, error).then(read, () => null));
  }

  /** All keys are of one group. Rejects when Redis is away. */
  async adjust(adjustments: readonly Adjustment[]): Promise<void> {
    const keys = adjustments.map(({ key }) => key);
    const words = adjustments.map(({ deltaMs, blockMs }) => `${deltaMs} ${blockMs}`).join(" ");
    const call = { lua: ADJUST, digest: ADJUST_DIGEST, keys, words };
    await this.#run(call).catch((error) => this.#runWhole(call, error));
  }

  /** Rejects when Redis is away. */
  async forget(key: string): Promise<void> {
    await this.#redis.run((connection) => connection.del(key));
  }

  #run({ digest, keys, words }: Call): Promise<unknown> {
    return this.#redis.run((connection) => connection.evalsha(digest, keys.length, ...keys, words));
  }

  /** A Redis that has not seen the script since it started wants all of it once. */
  async #runWhole({ lua, keys, words }: Call, error: unknown): Promise<unknown> {
    if (!(error instanceof Error && error.message.startsWith("NOSCRIPT"))) throw error;
    return await this.#redis.run((connection) => connection.eval(lua, keys.length, ...keys, words));
  }
}

const NO_BLOCKS: readonly number[] = [];

function judgementOf(charges: readonly Charge[], reply: unknown): Judgement {
  const microseconds = reply as readonly number[];
  const first = 1 + charges.length;
  const backlogsMs = millisecondsOf(microseconds, 1, first);
  const blocksMs =
    microseconds.length > first ? millisecondsOf(microseconds, first, microseconds.length) : NO_BLOCKS;
  return {
    tier: "redis",
    charges,
    verdict: { waitMs: (microseconds[0] ?? 0) / 1_000, backlogsMs, blocksMs },
  };
}

function millisecondsOf(microseconds: readonly number[], from: number, to: number): number[] {
  const all: number[] = [];
  for (let index = from; index < to; index += 1) all.push((microseconds[index] ?? 0) / 1_000);
  return all;
}

/** As Redis names scripts. */
function digestOf(lua: string): string {
  return createHash("sha1").update(lua).digest("hex");
}

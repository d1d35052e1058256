import { createHash } from "node:crypto";
import type { GuardedRedis } from "../redis/index.ts";
import type { Charge } from "./charge.ts";
import type { Adjustment, Purpose, Stake, Verdict } from "./gcra.ts";
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

/** The limits as all processes see them. Every function rejects when Redis is away. */
export class RedisTier {
  readonly #redis: GuardedRedis;

  constructor(redis: GuardedRedis) {
    this.#redis = redis;
  }

  get isAway(): boolean {
    return this.#redis.breaker.state !== "closed";
  }

  take(charges: readonly Charge[], purpose: Purpose, stakes: readonly Stake[]): Promise<Verdict> {
    const keys: string[] = [];
    let words: string = purpose;
    for (const { key, chargeMs, slackMs } of charges) {
      keys.push(key);
      words += ` ${chargeMs} ${slackMs}`;
    }
    for (const { creditMs, aheadMs } of stakes) words += ` ${creditMs} ${aheadMs}`;
    return this.#run({ lua: TAKE, digest: TAKE_DIGEST, keys, words }, (reply) =>
      readVerdict(reply, keys.length),
    );
  }

  /** All keys are of one group. */
  adjust(adjustments: readonly Adjustment[]): Promise<void> {
    const keys = adjustments.map(({ key }) => key);
    const words = adjustments.map(({ deltaMs, blockMs }) => `${deltaMs} ${blockMs}`).join(" ");
    return this.#run({ lua: ADJUST, digest: ADJUST_DIGEST, keys, words }, () => undefined);
  }

  async forget(key: string): Promise<void> {
    await this.#redis.run((connection) => connection.del(key));
  }

  #run<Outcome>(call: Call, read: (reply: unknown) => Outcome): Promise<Outcome> {
    const { digest, keys, words } = call;
    return this.#redis
      .run((connection) => connection.evalsha(digest, keys.length, ...keys, words))
      .then(read, async (error) => read(await this.#runWhole(call, error)));
  }

  /** A Redis that has not seen the script since it started wants all of it once. */
  async #runWhole({ lua, keys, words }: Call, error: unknown): Promise<unknown> {
    if (!(error instanceof Error && error.message.startsWith("NOSCRIPT"))) throw error;
    return await this.#redis.run((connection) => connection.eval(lua, keys.length, ...keys, words));
  }
}

function readVerdict(reply: unknown, limits: number): Verdict {
  const [waitMs = 0, ...more] = (reply as readonly number[]).map((us) => us / 1_000);
  return { waitMs, backlogsMs: more.slice(0, limits), blocksMs: more.slice(limits) };
}

/** As Redis names scripts. */
function digestOf(lua: string): string {
  return createHash("sha1").update(lua).digest("hex");
}

import type { GuardedRedis } from "../redis/guarded-redis.ts";
import { keysOf, type Location } from "./location.ts";
import { joinTokens, type RawReply, type Reply } from "./read-value.ts";
import type { RedisAccess } from "./redis-access.ts";
import type { Script, ScriptArgument } from "./script.ts";
import { ACQUIRE, EXPIRE, GIVE_UP, PUT, RENEW, STORE } from "./scripts.ts";
import { newToken } from "./token.ts";
import { withKind } from "./value-key.ts";

/** The answer to whoever asks for leave to load a value. */
export type Leave =
  | { readonly kind: "found"; readonly reply: Reply }
  /** Load it under this lease. `isThere`: whether the unwanted value is still there. */
  | { readonly kind: "granted"; readonly held: HeldLease; readonly isThere: boolean }
  /** Somebody is loading it. */
  | { readonly kind: "taken" }
  /** Somebody tried a moment ago and failed; this is what was told of it. */
  | { readonly kind: "failed"; readonly error: string };

export type PutOutcome = "stored" | "fenced" | { readonly newer: Buffer };

/** What the cache asks of Redis. Every method rejects when Redis cannot be asked. */
export class RedisTier {
  readonly #access: RedisAccess;

  constructor(access: RedisAccess) {
    this.#access = access;
  }

  read({ key, tagKeys }: Location): Promise<RawReply> {
    if (tagKeys.length === 0) return this.#access.run((redis) => redis.getBuffer(key));
    return this.#access.run((redis) => redis.mgetBuffer([key, ...tagKeys]));
  }

  /** Many values of one slot, in one round trip. */
  async readMany(locations: readonly Location[]): Promise<readonly Reply[]> {
    const keys = [...new Set(locations.flatMap(({ key, tagKeys }) => [key, ...tagKeys]))];
    const replies = await this.#access.run((redis) => redis.mgetBuffer(keys));
    const byKey = new Map(keys.map((key, index) => [key, replies[index] ?? null]));
    return locations.map(({ key, tagKeys }) => ({
      bytes: byKey.get(key) ?? null,
      tokens: joinTokens(tagKeys.map((tag) => byKey.get(tag) ?? null)),
    }));
  }

  /** Asks for leave to load a value. `unwanted`: the stamp of the value there that is known and of no use. */
  async acquire(location: Location, lease: Lease, unwanted: Buffer | null): Promise<Leave> {
    const [kind, first, second] = asArray(
      await this.#run(ACQUIRE, location, [
        lease.token,
        lease.ms,
        unwanted ?? "",
        tokenTtl(location),
        ...newTokens(location),
      ]),
    );
    switch (kind) {
      case 1:
        return { kind: "found", reply: { bytes: asBuffer(first), tokens: asText(second) } };
      case 2:
        return { kind: "granted", held: { ...lease, tokens: asText(first) }, isThere: second === 1 };
      case 4:
        return { kind: "failed", error: asText(first) };
      default:
        return { kind: "taken" };
    }
  }

  /** Stores what was loaded under a lease. */
  async put(location: Location, held: HeldLease, envelope: Buffer, ttlMs: number): Promise<PutOutcome> {
    const [kind, newer] = asArray(await this.#run(PUT, location, [...textsOf(held), envelope, ttlMs]));
    if (kind === 1) return "stored";
    return kind === 2 ? { newer: asBuffer(newer) } : "fenced";
  }

  /** Stores what a caller has. Answers the tokens of the tags, or null when Redis has a revision that is not lower. */
  async store(
    location: Location,
    [head, tail]: readonly [Buffer, Buffer],
    ttlMs: number,
  ): Promise<string | null> {
    const hasRevision = location.family.revision === null ? "0" : "1";
    const rest = [head, tail, ttlMs, hasRevision, tokenTtl(location), ...newTokens(location)];
    const tokens = await this.#run(STORE, location, rest);
    return tokens === null ? null : asText(tokens);
  }

  /** Ends a load without a value. `error`: what waiters are told, if anything. */
  async giveUp(
    location: Location,
    held: HeldLease,
    error: { readonly text: string; readonly ttlMs: number } | null,
  ): Promise<void> {
    await this.#run(GIVE_UP, location, [...textsOf(held), error?.text ?? "", error?.ttlMs ?? 0]);
  }

  /** Prolongs a lease. Answers whether what is loaded under it could still be stored. */
  async renew(location: Location, held: HeldLease): Promise<boolean> {
    return (await this.#run(RENEW, location, [...textsOf(held), held.ms])) === 1;
  }

  /** Whether what is loaded under this lease could be stored. Changes nothing, so that nobody is told of a change. */
  async holds({ key, tagKeys }: Location, held: HeldLease): Promise<boolean> {
    const [lease = null, ...tokens] = await this.#access.run((redis) =>
      redis.mgetBuffer([withKind(key, "l"), ...tagKeys]),
    );
    return asText(lease) === textsOf(held)[0] && joinTokens(tokens) === held.tokens;
  }

  /** Ends the freshness of a value at this moment, in the time of Redis. Answers whether it was fresh. */
  async expire(location: Location, moment: number): Promise<boolean> {
    const bytes = Buffer.allocUnsafe(16);
    bytes.writeDoubleBE(moment);
    bytes.writeDoubleBE(moment + location.family.graceMs, 8);
    return (await this.#run(EXPIRE, { ...location, tagKeys: [] }, [bytes])) === 1;
  }

  #run(script: Script, location: Location, args: readonly ScriptArgument[]): ReturnType<GuardedRedis["run"]> {
    return this.#access.run((redis) => script.run(redis, keysOf(location), args));
  }
}

export interface Lease {
  readonly token: string;
  readonly ms: number;
}

/** A lease that was granted, with the tokens of the value's tags. */
export interface HeldLease extends Lease {
  readonly tokens: string;
}

/** The lease as it stands in Redis, and the tokens in it. */
function textsOf({ token, tokens }: HeldLease): readonly [lease: string, tokens: string] {
  return [token + tokens, tokens];
}

/** A token lives longer than what was stored with it; scripts that store prolong it when it would not. */
function tokenTtl({ family }: Location): number {
  return (
    Math.ceil(2 * (Math.max(family.ttlMs, family.negativeTtlMs ?? 0) + family.graceMs + family.lingerMs)) +
    60_000
  );
}

function newTokens({ tagKeys }: Location): readonly string[] {
  return tagKeys.map(newToken);
}

function asArray(reply: unknown): readonly unknown[] {
  return Array.isArray(reply) ? reply : [];
}

function asBuffer(reply: unknown): Buffer {
  return Buffer.isBuffer(reply) ? reply : Buffer.alloc(0);
}

function asText(reply: unknown): string {
  return Buffer.isBuffer(reply) ? reply.toString() : "";
}

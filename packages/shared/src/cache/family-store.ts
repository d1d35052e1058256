import { awaitLoad } from "./await-load.ts";
import type { FamilyReport } from "./cache-report.ts";
import { isRefreshDrawn } from "./early-refresh.ts";
import { encodeKey, encodeText, shorten } from "./encode-key.ts";
import { stampBytes } from "./envelope.ts";
import { type Explanation, explain } from "./explain.ts";
import type { CacheFamily, KeyPart, ScopeKind } from "./family.ts";
import type { LoadOptions, SetOptions } from "./family-cache.ts";
import type { Flight } from "./flight.ts";
import type { Invalidator } from "./invalidator.ts";
import type { Loads } from "./loads.ts";
import type { LocalEntry } from "./local-tier.ts";
import type { Location } from "./location.ts";
import type { Found } from "./read-value.ts";
import { SHARED_SCOPE, spreadScope, userScope } from "./scope.ts";
import { storeValue } from "./store-value.ts";
import type { Tiers } from "./tiers.ts";
import { tagKey } from "./value-key.ts";

export interface FamilyStoreOptions {
  readonly prefix: string;
  /** The namespace within the cache: its name and a slash, for each level; empty without one. */
  readonly path: string;
  readonly tiers: Tiers;
  readonly loads: Loads;
  readonly invalidator: Invalidator;
  readonly report: FamilyReport;
}

/** A family whose types are known to the interface `FamilyCache` alone; here, arguments are what was passed. */
export type UntypedFamily = Omit<
  CacheFamily<ScopeKind, readonly never[], never>,
  "key" | "tags" | "revision" | "schema"
> & {
  readonly schema: {
    safeParse(
      value: unknown,
    ): { readonly success: true; readonly data: unknown } | { readonly success: false };
  };
  readonly key: ((...args: readonly never[]) => KeyPart | readonly KeyPart[]) | null;
  readonly tags: ((...at: readonly never[]) => readonly string[]) | null;
  readonly revision: ((value: never) => number) | null;
};

/** Implements `FamilyCache` for any family. */
export class FamilyStore {
  readonly #family: UntypedFamily;
  readonly #options: FamilyStoreOptions;
  readonly #tiers: Tiers;
  readonly #report: FamilyReport;
  /** What keys begin with, up to the scope, and what stands between the scope and the part for the arguments. */
  readonly #head: string;
  readonly #middle: string;
  readonly #isOfUsers: boolean;
  /** How many arguments say where a value is, the user included. */
  readonly #arity: number;
  /** Loads under way that somebody waits for: there was no value, or its time was up. */
  #loadsWaitedFor = 0;

  constructor(family: UntypedFamily, options: FamilyStoreOptions) {
    this.#family = family;
    this.#options = options;
    this.#tiers = options.tiers;
    this.#report = options.report;
    this.#head = `${options.prefix}{${options.path}`;
    this.#middle = `}:v:${family.name}.${family.version}:`;
    this.#isOfUsers = family.scope === "user";
    this.#arity = (this.#isOfUsers ? 1 : 0) + (family.key?.length ?? 0);
  }

  peek(...at: readonly unknown[]): unknown {
    this.#expect(at, 0);
    return this.#tiers.fresh(this.#keyOf(at))?.value;
  }

  async get(...at: readonly unknown[]): Promise<unknown> {
    this.#expect(at, 0);
    const key = this.#keyOf(at);
    const entry = this.#tiers.fresh(key);
    if (entry !== undefined) {
      this.#report.localHit(key);
      return entry.value;
    }
    const startedAt = performance.now();
    const found = this.#judge(key, await this.#tiers.find(this.#locate(at, key)), startedAt);
    return found.isFresh ? found.entry.value : undefined;
  }

  async getMany(...call: readonly unknown[]): Promise<readonly unknown[]> {
    const locations = this.#unpack(call).many.map((args) => this.#locate(this.#expect(args, 0)));
    const startedAt = performance.now();
    const entries = locations.map(({ key }) => this.#tiers.fresh(key));
    for (const [index, { key }] of locations.entries()) {
      if (entries[index] !== undefined) this.#report.localHit(key);
    }
    const missing = locations.filter((_, index) => entries[index] === undefined);
    const found = await this.#tiers.findMany(missing);
    const rest = missing.map(({ key }, index) => this.#judge(key, found[index] as Found, startedAt)).values();
    return entries.map((entry) => (entry === undefined ? valueIn(rest.next().value) : entry.value));
  }

  async exists(...at: readonly unknown[]): Promise<boolean> {
    return (await this.get(...at)) !== undefined;
  }

  getOrSet(...call: readonly unknown[]): Promise<unknown> {
    try {
      const key = this.#keyOf(call);
      const entry = this.#tiers.fresh(key);
      if (entry === undefined || call.length <= this.#arity) return this.#obtain(call, key);
      this.#report.localHit(key);
      if (entry.refreshFrom !== Number.POSITIVE_INFINITY) this.#refreshEarly(call, key, entry);
      return Promise.resolve(entry.value);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async set(...call: readonly unknown[]): Promise<boolean> {
    const { at, value, options } = this.#readSet(call);
    return await this.#store(this.#locate(at), value, options);
  }

  async setMany(...call: readonly unknown[]): Promise<void> {
    const { many, options } = this.#unpack(call);
    const writes = many.map((item) => ({
      location: this.#locate(this.#expect(item.slice(0, -1), 0)),
      value: item.at(-1),
    }));
    await Promise.all(writes.map(({ location, value }) => this.#store(location, value, options)));
  }

  async delete(...at: readonly unknown[]): Promise<boolean> {
    return await this.#options.invalidator.remove(this.#locate(this.#expect(at, 0)));
  }

  invalidate(...at: readonly unknown[]): Promise<boolean> {
    return this.delete(...at);
  }

  async expire(...at: readonly unknown[]): Promise<boolean> {
    return await this.#options.invalidator.expire(this.#locate(this.#expect(at, 0)));
  }

  watch(...call: readonly unknown[]): () => void {
    const { key, tagKeys } = this.#locate(this.#expect(call, 1));
    return this.#tiers.watchers.add(key, tagKeys, call[this.#arity] as () => void);
  }

  async explain(...at: readonly unknown[]): Promise<Explanation> {
    const { key } = this.#locate(this.#expect(at, 0));
    return await explain(this.#tiers, { key, isLoadingHere: this.#options.loads.get(key) !== undefined });
  }

  async #obtain(call: readonly unknown[], key: string): Promise<unknown> {
    const location = this.#locate(call, key);
    const { loads } = this.#options;
    let flight = loads.joinable(key);
    // A refresh that began early is waited for by nobody while there is the value that it refreshes.
    if (flight === undefined || flight.isEarly(this.#tiers.now())) {
      const startedAt = performance.now();
      const found = this.#judge(
        key,
        this.#tiers.outdated(key) ?? (await this.#tiers.find(location)),
        startedAt,
      );
      if (found.isFresh) {
        if (found.entry.refreshFrom !== Number.POSITIVE_INFINITY) this.#refreshEarly(call, key, found.entry);
        return found.entry.value;
      }
      flight = loads.joinable(key);
      if (flight === undefined) {
        const { load, options } = this.#readLoad(call);
        const { stale, seen } = found;
        const begun = loads.begin({ location, load, stale, seen, ttlMs: options.ttlMs });
        this.#countUntilDone(begun);
        return await awaitLoad(begun, { report: this.#report, now: this.#tiers.now, signal: options.signal });
      }
    }
    this.#report.coalesced(key, "process");
    const { signal } = this.#readLoad(call).options;
    return await awaitLoad(flight, { report: this.#report, now: this.#tiers.now, signal });
  }

  #refreshEarly(call: readonly unknown[], key: string, entry: LocalEntry): void {
    const { loads } = this.#options;
    const now = this.#tiers.now();
    if (now < entry.refreshFrom || loads.get(key) !== undefined || !this.#isRefreshDue(entry, now)) return;
    const { load, options } = this.#readLoad(call);
    const seen = stampBytes(entry.stamp);
    loads.begin({ location: this.#locate(call, key), load, stale: entry, seen, ttlMs: options.ttlMs });
  }

  #isRefreshDue(entry: LocalEntry, now: number): boolean {
    const { earlyRefresh, refreshAlongMs } = this.#family;
    const alongMs = refreshAlongMs * Math.min(1, this.#loadsWaitedFor / LOADS_THAT_TAKE_ALL);
    if (alongMs > 0 && now >= entry.expiresAt - alongMs) return true;
    return earlyRefresh && isRefreshDrawn(entry, now);
  }

  #countUntilDone({ result }: Flight): void {
    this.#loadsWaitedFor += 1;
    const done = () => {
      this.#loadsWaitedFor -= 1;
    };
    result.then(done, done);
  }

  #judge(key: string, found: Found, startedAt: number): Found {
    const ms = performance.now() - startedAt;
    if (found.isFresh) this.#report.redisHit(key, ms);
    else this.#report.miss(key, found.reason, ms);
    return found;
  }

  async #store(location: Location, value: unknown, { ttlMs }: SetOptions): Promise<boolean> {
    const { loads, invalidator } = this.#options;
    return await storeValue({ tiers: this.#tiers, loads, invalidator, report: this.#report }, location, {
      value,
      ttlMs,
    });
  }

  #locate(call: readonly unknown[], key = this.#keyOf(call)): Location {
    const { tags } = this.#family;
    if (tags === null) return { family: this.#family, key, tagKeys: NO_TAGS };
    const { prefix, path } = this.#options;
    const scope = path + (this.#isOfUsers ? userScope(call[0]) : SHARED_SCOPE);
    // The arguments are those that the types asked for.
    const names = tags(...(call.slice(0, this.#arity) as never[]));
    if (names.length > MOST_TAGS) throw new RangeError(`A value of ${this.#family.name} has too many tags.`);
    return { family: this.#family, key, tagKeys: names.map((name) => tagKey(prefix, scope, name)) };
  }

  /** The full Redis key of a value, from the arguments that any call begins with. */
  #keyOf(call: readonly unknown[]): string {
    if (this.#isOfUsers) return this.#head + userScope(call[0]) + this.#middle + this.#argumentsOf(call, 1);
    const rest = this.#argumentsOf(call, 0);
    return this.#head + (this.#family.tags === null ? spreadScope(rest) : SHARED_SCOPE) + this.#middle + rest;
  }

  #argumentsOf(call: readonly unknown[], from: number): string {
    const { key } = this.#family;
    if (key === null) return "";
    // The arguments are those that the types asked for. Most families take one, for which nothing need be copied.
    const parts: unknown =
      this.#arity - from === 1
        ? key(call[from] as never)
        : key(...(call.slice(from, this.#arity) as never[]));
    return typeof parts === "string"
      ? shorten(encodeText(parts))
      : encodeKey(Array.isArray(parts) ? parts : [parts]);
  }

  /** Checks what the types promise, for callers without types. */
  #expect(call: readonly unknown[], more: number): readonly unknown[] {
    if (call.length === this.#arity + more) return call;
    throw new TypeError(`${this.#family.name} needs ${this.#arity} arguments to say which value is meant.`);
  }

  #readLoad(call: readonly unknown[]): {
    readonly load: (context: never) => unknown;
    readonly options: LoadOptions;
  } {
    const load = call[this.#arity];
    if (typeof load !== "function") {
      throw new TypeError(
        `${this.#family.name} needs ${this.#arity} arguments, and then a function that loads the value.`,
      );
    }
    return {
      load: load as (context: never) => unknown,
      options: (call[this.#arity + 1] ?? {}) as LoadOptions,
    };
  }

  #readSet(call: readonly unknown[]) {
    if (call.length !== this.#arity + 2) this.#expect(call, 1);
    const options = (call[this.#arity + 1] ?? {}) as SetOptions;
    return { at: call.slice(0, this.#arity), value: call[this.#arity], options };
  }

  /** The arguments of many values, with the user in front of each. */
  #unpack(call: readonly unknown[]): {
    readonly many: readonly (readonly unknown[])[];
    readonly options: SetOptions;
  } {
    const [many, options = {}] = (this.#isOfUsers ? call.slice(1) : call) as [
      readonly (readonly unknown[])[],
      SetOptions?,
    ];
    const front = this.#isOfUsers ? [call[0]] : [];
    return { many: many.map((args) => [...front, ...args]), options };
  }
}

const NO_TAGS: readonly string[] = [];
/** A value that is due by itself is no reason to load many others earlier than they need be. */
const LOADS_THAT_TAKE_ALL = 4;
/** Their number stands in one byte of the envelope. */
const MOST_TAGS = 255;

function valueIn(found: Found | undefined): unknown {
  return found?.isFresh ? found.entry.value : undefined;
}

import type { FamilyReport } from "./cache-report.ts";
import { LoadNotes } from "./load-context.ts";
import { readLoadError, writeLoadError } from "./load-error.ts";
import type { LocalEntry } from "./local-tier.ts";
import type { Location } from "./location.ts";
import type { HeldLease, Lease, Leave, RedisTier } from "./redis-tier.ts";
import { envelopeOf, type SealedValue, sealValue } from "./seal-value.ts";
import type { Tiers } from "./tiers.ts";
import { newToken } from "./token.ts";
import { withKind } from "./value-key.ts";

/** Waiters are woken by pushes; in case one is lost, they ask again after this time, drawn between the two. */
const ASK_AGAIN_MS = [250, 500] as const;

export interface FlightOptions {
  readonly tiers: Tiers;
  readonly report: FamilyReport;
  readonly leaseMs: number;
  readonly failureTtlMs: number;
  /** Aborted when the cache is closed. */
  readonly signal: AbortSignal;
  /** An error of a moment ago that stands for this load while Redis cannot be asked. */
  readonly recentFailure: (key: string) => { readonly error: unknown } | undefined;
  /** To be called with the error of a load that other processes cannot be told of. */
  readonly failed: (location: Location, error: unknown) => void;
  /** To be called when callers that come now must not join any more. */
  readonly detach: (flight: Flight) => void;
}

export interface FlightPlan {
  readonly location: Location;
  readonly load: (context: never) => unknown;
  /** A value within its grace; a fresh one if this is to refresh it early. */
  readonly stale: LocalEntry | null;
  /** The stamp of the value in Redis that is known and of no use. */
  readonly seen: Buffer | null;
  /** For exactly how long to store the value. */
  readonly ttlMs?: number | undefined;
}

/**
 * One load of one value, shared by all callers of this process and, through a lease in Redis, by all processes:
 *
 *     asking → loading → done        the lease is ours
 *     asking → waiting → asking …    another process has it; a push or a timer wakes us
 *     asking → done                  somebody stored the value, or failed a moment ago
 *
 * Without Redis it is shared in this process only. Whoever invalidates the value takes the lease away, so that it is not stored.
 */
export class Flight {
  readonly location: Location;
  readonly begunAt: number;
  /** Rejects with the error of the load. */
  readonly result: Promise<unknown>;
  readonly #options: FlightOptions;
  readonly #plan: FlightPlan;
  readonly #lease: Lease;
  #stale: LocalEntry | null;
  #isFenced = false;
  #isLeftBehind = false;
  /** The highest revision that this process stored since the load began. */
  #storedMeanwhile = Number.NEGATIVE_INFINITY;
  /** Loading under this lease. */
  #held: HeldLease | null = null;
  /** Loading without one. */
  #isAlone = false;
  #isChecking = false;
  #touches = 0;
  #wake: (() => void) | null = null;

  constructor(plan: FlightPlan, options: FlightOptions) {
    this.location = plan.location;
    this.#plan = plan;
    this.#options = options;
    this.#stale = plan.stale;
    this.begunAt = options.tiers.now();
    this.#lease = { token: newToken(), ms: options.leaseMs };
    // It begins when everybody can find it.
    this.result = Promise.resolve().then(() => this.#fly());
    // Those who wait for it hear of its error, and there may be none.
    this.result.catch(() => undefined);
  }

  get stale(): LocalEntry | null {
    return this.#stale;
  }

  /** Whether the value that is to be refreshed may still be served to all. */
  isEarly(now: number): boolean {
    return this.#stale !== null && now < this.#stale.expiresAt;
  }

  /** The value was invalidated: what is being loaded is for those who wait for it already, and for nobody else. */
  fence(): void {
    this.#isFenced = true;
    this.#options.detach(this);
  }

  /** Nobody joins it any more, nor tells it what happens. Redis alone knows whether what it loads may be stored. */
  leaveBehind(): void {
    this.#isLeftBehind = true;
    this.#options.detach(this);
  }

  /** This process stored a value of this revision: what is being loaded must not take its place here if it is older. */
  outrun(revision: number): void {
    this.#storedMeanwhile = Math.max(this.#storedMeanwhile, revision);
  }

  get isOutrun(): boolean {
    return this.#storedMeanwhile !== Number.NEGATIVE_INFINITY;
  }

  /** Something happened to the value, its lease or its tags. */
  touch(): void {
    this.#touches += 1;
    this.wake();
    // Without a lease there is nothing that could tell what it was.
    if (this.#isAlone) this.fence();
    if (this.#held !== null) void this.#checkLease(this.#held);
  }

  /** Those who wait for another process ask again, or give up when the cache is closed. */
  wake(): void {
    this.#wake?.();
  }

  get #report(): FamilyReport {
    return this.#options.report;
  }

  get #mayKeepAlone(): boolean {
    return !this.#isFenced && !this.#isLeftBehind;
  }

  async #fly(): Promise<unknown> {
    let seen = this.#plan.seen;
    for (;;) {
      const touches = this.#touches;
      const redis = this.#options.tiers.open;
      const leave = redis === null ? null : await this.#ask(redis, seen);
      if (redis === null || leave === null) return await this.#loadAlone();
      switch (leave.kind) {
        case "granted":
          // What was invalidated while we waited is not served, not even when the load fails.
          if (!leave.isThere) this.#stale = null;
          return await this.#loadUnderLease(redis, leave.held);
        case "failed":
          throw readLoadError(leave.error);
        case "taken":
          await this.#wait(touches);
          break;
        case "found":
          if (leave.found.isFresh) return leave.found.entry.value;
          seen = leave.found.seen;
          this.#stale = leave.found.stale;
      }
    }
  }

  /** Asks for leave to load. Null when Redis does not give it to anybody. */
  async #ask(redis: RedisTier, seen: Buffer | null) {
    const { tiers } = this.#options;
    const mark = tiers.beginRead(this.location);
    let leave: Leave;
    try {
      leave = await redis.acquire(this.location, this.#lease, seen);
    } catch {
      tiers.endRead(mark);
      return null;
    }
    if (leave.kind === "found") {
      const found = tiers.accept(this.location, leave.reply, mark);
      if (found.isFresh) this.#report.coalesced(this.location.key, "redis");
      return { kind: "found", found } as const;
    }
    tiers.endRead(mark);
    return leave;
  }

  async #wait(touches: number): Promise<void> {
    // Touched while the answer was on its way.
    if (touches !== this.#touches) return;
    const [least, most] = ASK_AGAIN_MS;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, least + (most - least) * Math.random());
    this.#wake = resolve;
    await promise;
    this.#wake = null;
    clearTimeout(timer);
    this.#options.signal.throwIfAborted();
  }

  async #loadUnderLease(redis: RedisTier, held: HeldLease): Promise<unknown> {
    const renewal = setInterval(() => void this.#renew(redis, held), held.ms / 3).unref();
    this.#held = held;
    try {
      const { value, sealed, ms } = await this.#load();
      this.#held = null;
      if (sealed !== null && !this.#isFenced) return await this.#put(redis, sealed, { held, ms });
      if (sealed !== null) this.#report.refused(this.location.key, "fenced");
      await this.#giveUp(redis, held, null);
      return sealed === null ? value : sealed.entry.value;
    } catch (error) {
      const text = writeLoadError(error);
      await this.#giveUp(redis, held, { text, ttlMs: this.#options.failureTtlMs });
      throw error;
    } finally {
      this.#held = null;
      clearInterval(renewal);
    }
  }

  async #renew(redis: RedisTier, held: HeldLease): Promise<void> {
    const isHeld = await redis.renew(this.location, held).catch(() => true);
    if (!isHeld && this.#held === held) this.fence();
  }

  async #loadAlone(): Promise<unknown> {
    const { tiers, recentFailure, failed } = this.#options;
    const { key } = this.location;
    const wasOpen = tiers.open !== null;
    const failure = recentFailure(key);
    if (failure !== undefined) return await Promise.reject(failure.error);
    this.#isAlone = true;
    try {
      const { value, sealed, ms } = await this.#load();
      if (sealed === null) return value;
      // If Redis came back meanwhile, the value may have been invalidated by others.
      const isOpen = tiers.open !== null;
      if (this.#mayKeepAlone && wasOpen === isOpen) this.#keepAlone(sealed, ms);
      return sealed.entry.value;
    } catch (error) {
      if (this.#mayKeepAlone) failed(this.location, error);
      throw error;
    } finally {
      this.#isAlone = false;
    }
  }

  /** `sealed` is null when the value is not to be stored. */
  async #load(): Promise<{
    readonly value: unknown;
    readonly sealed: SealedValue | null;
    readonly ms: number;
  }> {
    const { tiers, signal } = this.#options;
    const { family, key } = this.location;
    const notes = new LoadNotes(signal, this.#stale, this.#plan.ttlMs);
    const startedAt = performance.now();
    const value = await this.#runLoad(notes, startedAt);
    const ms = performance.now() - startedAt;
    this.#report.loaded(key, ms);
    if (notes.isSkipped || (value === undefined && family.negativeTtlMs === null))
      return { value, sealed: null, ms };
    const { ttlMs, etag } = notes;
    const sealed = sealValue(family, value, { now: tiers.now(), ttlMs, loadMs: ms, etag });
    if (typeof sealed !== "string") return { value, sealed, ms };
    this.#report.refused(key, sealed);
    return { value, sealed: null, ms };
  }

  async #runLoad(notes: LoadNotes, startedAt: number): Promise<unknown> {
    try {
      // What the family's types allow was checked where the load was given.
      return await this.#plan.load(notes as never);
    } catch (error) {
      this.#report.loadFailed(this.location.key, performance.now() - startedAt);
      throw error;
    }
  }

  async #put(
    redis: RedisTier,
    sealed: SealedValue,
    { held, ms }: { readonly held: HeldLease; readonly ms: number },
  ) {
    const { tiers } = this.#options;
    const { tokens } = held;
    const { key, tagKeys } = this.location;
    const [head, tail] = envelopeOf(sealed, tagKeys.length, tiers.time);
    const envelope = Buffer.concat([head, Buffer.from(tokens), tail]);
    const mark = tiers.beginRead(this.location);
    try {
      const outcome = await redis.put(this.location, held, envelope, sealed.ttlMs);
      if (typeof outcome === "object") {
        this.#report.refused(key, "revision");
        const found = tiers.accept(this.location, { bytes: outcome.newer, tokens }, mark);
        return found.isFresh ? found.entry.value : sealed.entry.value;
      }
      if (outcome === "stored") {
        tiers.keepStored(this.location, sealed, { mark, tokens });
        tiers.feed.publish([key, withKind(key, "l")]);
        this.#reportSaved(sealed, { tier: "redis", ms });
      } else {
        tiers.endRead(mark);
        this.#report.refused(key, "fenced");
        this.fence();
      }
    } catch {
      tiers.endRead(mark);
      if (this.#mayKeepAlone) this.#keepAlone(sealed, ms);
    }
    return sealed.entry.value;
  }

  #keepAlone(sealed: SealedValue, ms: number): void {
    const isOlder = sealed.entry.revision < this.#storedMeanwhile;
    if (!isOlder && this.#options.tiers.keepAlone(this.location, sealed, true))
      this.#reportSaved(sealed, { tier: "l1", ms });
    else this.#report.refused(this.location.key, "revision");
  }

  #reportSaved(
    { payload }: SealedValue,
    { tier, ms }: { readonly tier: "l1" | "redis"; readonly ms: number },
  ): void {
    const bytes = payload?.bytes.length ?? 0;
    this.#report.saved(this.location.key, { tier, ms, bytes, rawBytes: payload?.rawBytes ?? 0 });
  }

  async #giveUp(redis: RedisTier, held: HeldLease, error: Parameters<RedisTier["giveUp"]>[2]): Promise<void> {
    const { key } = this.location;
    try {
      await redis.giveUp(this.location, held, error);
      this.#options.tiers.feed.publish([withKind(key, "l"), withKind(key, "e")]);
    } catch {
      // The lease ends by itself.
    }
  }

  /** Pushes do not say what happened to the lease, and our own doings come back as pushes, too. */
  async #checkLease(held: HeldLease): Promise<void> {
    const redis = this.#options.tiers.open;
    if (this.#isChecking || redis === null) return;
    this.#isChecking = true;
    let touches: number;
    do {
      touches = this.#touches;
      const isHeld = await redis.holds(this.location, held).catch(() => true);
      // Having stored the value, we have given the lease back ourselves.
      if (!isHeld && this.#held === held) this.fence();
    } while (touches !== this.#touches && this.#held === held);
    this.#isChecking = false;
  }
}

import type { MissReason } from "./cache-report.ts";
import type { CoherenceFeed } from "./coherence-feed.ts";
import { stampBytes } from "./envelope.ts";
import { deepFreeze } from "./freeze.ts";
import type { ReadMark, ReadMarks } from "./local/read-marks.ts";
import type { LocalEntry, LocalTier } from "./local-tier.ts";
import type { Location } from "./location.ts";
import { type Found, miss, type Reply, tagsOf, toReply, ValueReader } from "./read-value.ts";
import type { RedisAccess } from "./redis-access.ts";
import { RedisTier } from "./redis-tier.ts";
import type { SealedValue } from "./seal-value.ts";
import { ServerClock } from "./server-clock.ts";
import { TagTable } from "./tag-table.ts";
import { kindOf, scopeOf } from "./value-key.ts";
import { Watchers } from "./watchers.ts";

export interface TiersOptions {
  readonly now: () => number;
  readonly local: LocalTier | null;
  readonly marks: ReadMarks;
  /** Null without Redis. */
  readonly access: RedisAccess | null;
  readonly feed: CoherenceFeed;
  /** How long a value that Redis does not hold is kept here at most: nobody tells of its changes. */
  readonly aloneTtlMs: number;
}

/** Where values are: in the memory of this process, in Redis, or in both. */
export class Tiers {
  readonly now: () => number;
  readonly local: LocalTier | null;
  readonly redis: RedisTier | null;
  readonly access: RedisAccess | null;
  readonly feed: CoherenceFeed;
  readonly time: ServerClock;
  readonly watchers = new Watchers();
  readonly #aloneTtlMs: number;
  readonly #marks: ReadMarks;
  readonly #tags = new TagTable();
  readonly #reader: ValueReader;
  readonly #reads = new Map<string, Look>();

  constructor({ now, local, marks, access, feed, aloneTtlMs }: TiersOptions) {
    this.now = now;
    this.local = local;
    this.access = access;
    this.redis = access === null ? null : new RedisTier(access);
    this.feed = feed;
    this.#aloneTtlMs = aloneTtlMs;
    this.time = access?.time ?? new ServerClock(now);
    this.#marks = marks;
    this.#reader = new ValueReader({ now, time: this.time, tags: local === null ? null : this.#tags });
  }

  /** Redis, while it may be asked. */
  get open(): RedisTier | null {
    return this.access?.isOpen ? this.redis : null;
  }

  /** What this process holds and may serve. The hot path. */
  fresh(key: string): LocalEntry | undefined {
    const now = this.now();
    const entry = this.#held(key, now);
    return entry !== undefined && now < entry.expiresAt ? entry : undefined;
  }

  /** The value that this process holds and that is past its time: whoever means to load it need not look for it in Redis first. */
  outdated(key: string): Found | null {
    const now = this.now();
    const entry = this.open === null ? undefined : this.#held(key, now);
    if (entry === undefined || now < entry.expiresAt) return null;
    return miss("expired", stampBytes(entry.stamp), now < entry.staleUntil ? entry : null);
  }

  /** Looks in Redis for what is not fresh here. Those who look for the same at the same time share one look. Never rejects. */
  find(location: Location): Promise<Found> {
    const { key } = location;
    const redis = this.open;
    if (redis === null) return Promise.resolve(this.#findHere(key));
    const other = this.#reads.get(key);
    if (other !== undefined && this.isHeardSince(other.begunAt)) {
      other.isShared = true;
      return other.found;
    }
    const look = new Look(this.now());
    look.found = this.#look(redis, location, look);
    this.#reads.set(key, look);
    return look.found;
  }

  /** Looks for many. Those in one slot of a Cluster are read in one round trip. Never rejects. */
  async findMany(locations: readonly Location[]): Promise<readonly Found[]> {
    const isCluster = this.access?.redis.connection.isCluster ?? false;
    const bySlot = Map.groupBy(locations.keys(), (index) =>
      isCluster ? scopeOf(locations[index]?.key ?? "") : "",
    );
    const found: Found[] = [];
    const look = async (indexes: readonly number[]) => {
      const some = indexes.map((index) => locations[index] as Location);
      for (const [at, one] of (await this.#findTogether(some)).entries()) found[indexes[at] as number] = one;
    };
    await Promise.all([...bySlot.values()].map(look));
    return found;
  }

  /**
   * Whether we would know if what was begun at that moment had been invalidated meanwhile, or it was so lately that no matter. What began before
   * this process slept, say, is not to be shared with those who come after: the news of what happened may not have been read yet.
   */
  isHeardSince(begunAt: number): boolean {
    const now = this.now();
    return now < this.feed.trustedUntil || now < begunAt + this.#aloneTtlMs;
  }

  /** Judges what Redis replied, and keeps it if it is fresh and nothing was heard against it since `mark`. */
  accept(location: Location, reply: Reply, mark: ReadMark | null): Found {
    return this.#accept(location, reply, { mark, isShared: true });
  }

  /** To be called before a command is sent whose answer may be kept, and followed by `accept`, `keepStored` or `endRead`. */
  beginRead({ key, tagKeys }: Location): ReadMark | null {
    return this.local === null ? null : this.#marks.begin([key, ...tagKeys]);
  }

  /** Answers whether nothing was heard against it since it began. */
  endRead(mark: ReadMark | null): boolean {
    return mark !== null && this.#marks.end(mark);
  }

  /** Keeps here what Redis has just stored, unless something was heard against it since `mark`. */
  keepStored(
    location: Location,
    { entry }: SealedValue,
    stored: { readonly mark: ReadMark | null; readonly tokens: string },
  ): void {
    const isCurrent = this.endRead(stored.mark);
    this.drop(location.key);
    if (!isCurrent) return;
    this.#keep(location.key, { ...entry, tags: tagsOf(this.#tags, location.tagKeys, stored.tokens) });
  }

  /**
   * Keeps here what Redis cannot be given, and answers whether it does: not in place of a higher revision, nor of the same one where `replacesSame` is false.
   */
  keepAlone({ family, key, tagKeys }: Location, { entry }: SealedValue, replacesSame: boolean): boolean {
    const held = family.revision === null ? undefined : this.fresh(key);
    if (
      held !== undefined &&
      (replacesSame ? held.revision > entry.revision : held.revision >= entry.revision)
    ) {
      return false;
    }
    this.drop(key);
    const tags = tagKeys.map((tagKey) => this.#tags.alone(tagKey));
    const aloneTtlMs = family.aloneTtlMs ?? this.#aloneTtlMs;
    const alone = endingBy(this.now() + aloneTtlMs, { ...entry, tags, isAlone: true }, family.graceMs);
    this.#keep(key, alone);
    return true;
  }

  /** Forgets a value, and what was read of it and is on its way. */
  drop(key: string): void {
    this.#marks.changed(key);
    this.local?.delete(key);
    this.#reads.delete(key);
    this.watchers.tell(key);
  }

  /** Ends the freshness of a value here; its grace begins. Answers whether it was fresh. */
  expireHere({ family, key }: Location): boolean {
    const now = this.now();
    const entry = this.local?.get(key);
    this.drop(key);
    if (entry === undefined || !isLive(entry)) return false;
    this.#keep(key, endingBy(now, entry, family.graceMs));
    return now < entry.expiresAt;
  }

  /** Forgets what bears a tag. Answers whether anything did. */
  dropTag(key: string): boolean {
    this.#marks.changed(key);
    this.#reads.clear();
    this.watchers.tellTagged(key);
    return this.#tags.drop(key);
  }

  /** Forgets what the function picks by its full Redis key, and answers how many values that were. */
  dropMatching(picks: (key: string) => boolean): number {
    this.#marks.allChanged();
    this.#reads.clear();
    this.watchers.tellMatching(picks);
    return this.local?.deleteMatching(picks) ?? 0;
  }

  /** Keys that changed in Redis. */
  invalidated(keys: readonly string[]): void {
    for (const key of keys) {
      const kind = kindOf(key);
      if (kind === "v") this.drop(key);
      else if (kind === "t") this.dropTag(key);
    }
  }

  flushed(): void {
    this.#marks.allChanged();
    this.#reads.clear();
    this.#tags.clear();
    this.local?.clear();
    this.watchers.tellMatching(() => true);
  }

  #look(redis: RedisTier, location: Location, look: Look): Promise<Found> {
    const { key } = location;
    const mark = this.beginRead(location);
    const end = () => {
      if (this.#reads.get(key) === look) this.#reads.delete(key);
    };
    return redis.read(location).then(
      (reply) => {
        end();
        return this.#accept(location, toReply(reply), { mark, isShared: look.isShared });
      },
      () => {
        end();
        this.endRead(mark);
        return this.#findHere(key);
      },
    );
  }

  #accept(
    location: Location,
    reply: Reply,
    { mark, isShared }: { readonly mark: ReadMark | null; readonly isShared: boolean },
  ): Found {
    const isCurrent = this.endRead(mark);
    const found = this.#reader.read(location, reply);
    if (!found.isFresh) return found;
    // A copy that only one caller has may be changed by them; to freeze it would take a tenth of the time of all this.
    if (isShared || isCurrent) deepFreeze(found.entry.value);
    if (isCurrent) this.#keep(location.key, found.entry);
    return found;
  }

  async #findTogether(locations: readonly Location[]): Promise<readonly Found[]> {
    const redis = this.open;
    if (redis === null) return locations.map(({ key }) => this.#findHere(key));
    const marks = locations.map((location) => this.beginRead(location));
    try {
      const replies = await redis.readMany(locations);
      return replies.map((reply, index) =>
        this.accept(locations[index] as Location, reply, marks[index] ?? null),
      );
    } catch {
      for (const mark of marks) this.endRead(mark);
      return locations.map(({ key }) => this.#findHere(key));
    }
  }

  #findHere(key: string): Found {
    const reason: MissReason = this.access === null ? "absent" : "redis-down";
    const now = this.now();
    const entry = this.#held(key, now);
    if (entry === undefined) return miss(reason);
    if (now < entry.expiresAt) return { isFresh: true, entry };
    return miss("expired", null, now < entry.staleUntil ? entry : null);
  }

  /** What this process holds, fresh or not, unless it was invalidated or may have been. */
  #held(key: string, now: number): LocalEntry | undefined {
    const entry = this.local?.get(key);
    if (entry === undefined || !isLive(entry)) return undefined;
    return entry.isAlone || now < this.feed.trustedUntil ? entry : undefined;
  }

  #keep(key: string, entry: LocalEntry): void {
    this.local?.set(key, entry, entry.bytes);
  }
}

/** A look into Redis that others may share. */
class Look {
  readonly begunAt: number;
  found: Promise<Found> = NEVER;
  isShared = false;

  constructor(begunAt: number) {
    this.begunAt = begunAt;
  }
}

const NEVER = new Promise<never>(() => undefined);

/** An entry that is fresh no longer than until a moment, when its grace begins. */
function endingBy(moment: number, entry: LocalEntry, graceMs: number): LocalEntry {
  return moment < entry.expiresAt ? { ...entry, expiresAt: moment, staleUntil: moment + graceMs } : entry;
}

function isLive({ tags }: LocalEntry): boolean {
  for (const tag of tags) if (!tag.live) return false;
  return true;
}

import type { CacheReport } from "./cache-report.ts";
import type { Loads } from "./loads.ts";
import type { Location } from "./location.ts";
import type { Removal } from "./removal.ts";
import { createMatcher, type Selection } from "./selection.ts";
import type { Tiers } from "./tiers.ts";
import { withKind } from "./value-key.ts";

/** Invalidates: here at once, in Redis now or as soon as it is back. What is being loaded meanwhile is not stored anywhere. Nothing here rejects. */
export class Invalidator {
  readonly #prefix: string;
  readonly #tiers: Tiers;
  readonly #loads: Loads;
  readonly #report: CacheReport;

  constructor(options: {
    readonly prefix: string;
    readonly tiers: Tiers;
    readonly loads: Loads;
    readonly report: CacheReport;
  }) {
    this.#prefix = options.prefix;
    this.#tiers = options.tiers;
    this.#loads = options.loads;
    this.#report = options.report;
  }

  /** Removes a value. Answers whether there was one, as far as that is known. */
  async remove({ family, key }: Location): Promise<boolean> {
    const startedAt = performance.now();
    const wasHere = this.#tiers.fresh(key) !== undefined;
    this.#forget(key);
    const count = await this.#tell({ kind: "value", key });
    // What was read before Redis was told and came meanwhile.
    if (this.#tiers.access !== null) this.#tiers.drop(key);
    this.#report.family(family.name).invalidated(key, performance.now() - startedAt);
    return count === null ? wasHere : count > 0;
  }

  /** Ends the freshness of a value, whose grace begins. Answers whether there was one, as far as that is known. */
  async expire(location: Location): Promise<boolean> {
    const { family, key } = location;
    if (family.graceMs === 0) return await this.remove(location);
    const startedAt = performance.now();
    const { access, open } = this.#tiers;
    this.#loads.fence(key);
    const wasHere = this.#tiers.expireHere(location);
    let wasThere: boolean | null = null;
    if (open !== null) {
      wasThere = await open.expire(location, this.#tiers.time.toServer(this.#tiers.now())).catch(() => null);
      this.#tiers.feed.publish([key, withKind(key, "l")]);
    }
    if (wasThere === null) access?.note({ kind: "value", key });
    this.#tiers.expireHere(location);
    this.#report.family(family.name).invalidated(key, performance.now() - startedAt);
    return wasThere ?? wasHere;
  }

  /** Invalidates what bears one of these tags. Answers how many of the tags were borne, as far as that is known. */
  async removeTags(tagKeys: readonly string[]): Promise<number> {
    if (tagKeys.length === 0) return 0;
    const startedAt = performance.now();
    const here = this.#forgetTags(tagKeys);
    const count = await this.#tell({ kind: "tags", keys: tagKeys });
    if (this.#tiers.access !== null) this.#forgetTags(tagKeys);
    this.#report.invalidatedMany("tag", count ?? here, performance.now() - startedAt);
    return count ?? here;
  }

  /** Removes what is selected. Answers how many values that were, as far as that is known. */
  async removeMatching(selection: Selection): Promise<number> {
    const startedAt = performance.now();
    const matches = createMatcher(selection);
    this.#loads.fenceMatching(matches);
    const here = this.#tiers.dropMatching(matches);
    const count = await this.#tell({ kind: "matching", prefix: this.#prefix, selection });
    if (this.#tiers.access !== null) this.#tiers.dropMatching(matches);
    this.#report.invalidatedMany(
      selection.glob === null ? "clear" : "pattern",
      count ?? here,
      performance.now() - startedAt,
    );
    return count ?? here;
  }

  /** Has it removed from Redis. Answers how many there were, or null when that is not known. */
  async #tell(removal: Removal): Promise<number | null> {
    return (await this.#tiers.access?.remove(removal)) ?? null;
  }

  #forget(key: string): void {
    this.#loads.fence(key);
    this.#tiers.drop(key);
  }

  #forgetTags(tagKeys: readonly string[]): number {
    for (const key of tagKeys) this.#loads.fenceTag(key);
    return tagKeys.filter((key) => this.#tiers.dropTag(key)).length;
  }
}

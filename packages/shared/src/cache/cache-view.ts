import { setTimeout as delay } from "node:timers/promises";
import type { Cache, Families } from "./cache.ts";
import { encodeText } from "./encode-key.ts";
import { type Explanation, explain } from "./explain.ts";
import { FamilyStore, type UntypedFamily } from "./family-store.ts";
import { type CacheHealth, healthOf } from "./health.ts";
import type { Invalidator } from "./invalidator.ts";
import type { Loads } from "./loads.ts";
import type { CacheStats } from "./report/cache-stats.ts";
import type { OpenCacheReport } from "./report/open-cache-report.ts";
import { type Scope, scopeText } from "./scope.ts";
import type { Tiers } from "./tiers.ts";
import { kindOf, parseKey, tagKey } from "./value-key.ts";
import { familyOfFunction, type WrapOptions } from "./wrap.ts";

export interface CacheParts {
  readonly prefix: string;
  /** The namespace within the cache: its name and a slash, for each level; empty without one. */
  readonly path: string;
  readonly tiers: Tiers;
  readonly loads: Loads;
  readonly invalidator: Invalidator;
  readonly report: OpenCacheReport;
  readonly close: () => Promise<void>;
}

/** While a process starts. */
const LOOK_EVERY_MS = 5;

/** A cache as it is seen from one of its namespaces. */
export class CacheView<Defined extends Families> implements Cache<Defined> {
  readonly families: Cache<Defined>["families"];
  readonly #defined: Defined;
  readonly #parts: CacheParts;
  readonly #stores = new Map<string, { readonly family: UntypedFamily; readonly store: FamilyStore }>();

  constructor(defined: Defined, parts: CacheParts) {
    this.#defined = defined;
    this.#parts = parts;
    const stores = Object.entries(defined).map(([name, family]) => [name, this.#open(family)] as const);
    // The stores take what the types of the families ask for.
    this.families = Object.fromEntries(stores) as unknown as Cache<Defined>["families"];
  }

  wrap(target: UntypedFamily | WrapOptions, load: (...args: readonly unknown[]) => Promise<unknown>) {
    if ("prefix" in target) {
      const store = this.#open(familyOfFunction(target));
      return (...args: readonly unknown[]) => store.getOrSet(args, () => load(...args));
    }
    const store =
      this.#stores.get(target.name)?.family === target ? this.#stores.get(target.name)?.store : null;
    const opened = store ?? this.#open(target);
    return (...at: readonly unknown[]) => opened.getOrSet(...at, () => load(...at));
  }

  deleteByTag(scope: Scope, tags: string | readonly string[]): Promise<number> {
    const { prefix, path, invalidator } = this.#parts;
    const names = typeof tags === "string" ? [tags] : tags;
    return invalidator.removeTags(names.map((name) => tagKey(prefix, path + scopeText(scope), name)));
  }

  deleteByPattern(pattern: string): Promise<number> {
    const { path, invalidator } = this.#parts;
    return invalidator.removeMatching({ path, scope: null, family: null, glob: pattern });
  }

  clear(family: string | null = null, of: Scope | null = null): Promise<number> {
    const { path, invalidator } = this.#parts;
    return invalidator.removeMatching({ path, scope: of && scopeText(of), family, glob: null });
  }

  namespace(name: string): Cache<Defined> {
    const path = `${this.#parts.path}${encodeText(name)}/`;
    return new CacheView(this.#defined, { ...this.#parts, path });
  }

  stats(): Promise<CacheStats> {
    return this.#parts.report.stats();
  }

  own(): CacheStats {
    return this.#parts.report.own();
  }

  health(): CacheHealth {
    return healthOf(this.#parts.tiers);
  }

  async explain(key: string): Promise<Explanation | null> {
    const { prefix, tiers, loads } = this.#parts;
    if (!key.startsWith(prefix) || parseKey(key) === null || kindOf(key) !== "v") return null;
    return await explain(tiers, { key, isLoadingHere: loads.get(key) !== undefined });
  }

  async ready(withinMs: number): Promise<boolean> {
    const { access, feed } = this.#parts.tiers;
    const isReady = () => access?.isOpen === true && feed.state !== "lost";
    const deadline = performance.now() + withinMs;
    while (!isReady() && access !== null && performance.now() < deadline) await delay(LOOK_EVERY_MS);
    return isReady();
  }

  close(): Promise<void> {
    return this.#parts.close();
  }

  #open(family: UntypedFamily): FamilyStore {
    const known = this.#stores.get(family.name);
    if (known !== undefined) throw new TypeError(`There are two families called ${family.name}.`);
    const { report, ...parts } = this.#parts;
    const store = new FamilyStore(family, { ...parts, report: report.family(family.name) });
    this.#stores.set(family.name, { family, store });
    return store;
  }
}

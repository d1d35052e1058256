interface Watcher {
  readonly tagKeys: readonly string[];
  readonly changed: () => void;
  /** It is about to be told. */
  isDue: boolean;
  isOver: boolean;
}

/** Those who want to hear that a value is no longer what it was, by its full Redis key. */
export class Watchers {
  readonly #watchers = new Map<string, Set<Watcher>>();

  /** Answers how to stop it. */
  add(key: string, tagKeys: readonly string[], changed: () => void): () => void {
    const watcher = { tagKeys, changed, isDue: false, isOver: false };
    const all = this.#watchers.get(key) ?? new Set();
    this.#watchers.set(key, all.add(watcher));
    return () => {
      watcher.isOver = true;
      all.delete(watcher);
      if (all.size === 0 && this.#watchers.get(key) === all) this.#watchers.delete(key);
    };
  }

  tell(key: string): void {
    const all = this.#watchers.get(key);
    if (all !== undefined) for (const watcher of all) tellSoon(watcher);
  }

  tellTagged(tagKey: string): void {
    this.#tell((_, { tagKeys }) => tagKeys.includes(tagKey));
  }

  tellMatching(picks: (key: string) => boolean): void {
    this.#tell((key) => picks(key));
  }

  #tell(picks: (key: string, watcher: Watcher) => boolean): void {
    for (const [key, all] of this.#watchers) {
      for (const watcher of all) if (picks(key, watcher)) tellSoon(watcher);
    }
  }
}

/** When the change is complete: what takes the old value's place is there by then, and nobody's error gets in its way. */
function tellSoon(watcher: Watcher): void {
  if (watcher.isDue) return;
  watcher.isDue = true;
  queueMicrotask(() => {
    watcher.isDue = false;
    if (!watcher.isOver) watcher.changed();
  });
}

import type { Run } from "../run.ts";
import type { Page, RunChange, RunFilter, RunStore } from "../store.ts";
import { announced } from "./announce.ts";
import type { RunCache } from "./open-caching.ts";
import { plain } from "./views.ts";

/** Runs whose every change is in the cache when its caller hears of it. */
export class AnnouncingRuns implements RunStore {
  readonly #runs: RunStore;
  readonly #cache: RunCache;

  constructor(runs: RunStore, cache: RunCache) {
    this.#runs = runs;
    this.#cache = cache;
  }

  /** That there is no such run is not cached, so there is nothing to tell. */
  create(user: string, run: Run): Promise<void> {
    return this.#runs.create(user, run);
  }

  get(user: string, id: string): Promise<Run | null> {
    return this.#runs.get(user, id);
  }

  list(user: string, filter: RunFilter): Promise<Page<Run>> {
    return this.#runs.list(user, filter);
  }

  update(user: string, id: string, revision: number, change: RunChange): Promise<Run | null> {
    const { runStatus } = this.#cache.families;
    return announced(
      this.#runs.update(user, id, revision, change),
      async (run) => run && (await runStatus.set(user, id, plain(run))),
      () => runStatus.invalidate(user, id),
    );
  }
}

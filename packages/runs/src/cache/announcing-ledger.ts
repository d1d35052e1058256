import type {
  AnswerQuery,
  Erasure,
  LedgerOpening,
  LedgerRow,
  LedgerSettlement,
  LedgerStore,
} from "../ledger.ts";
import type { RunUsage } from "../run.ts";
import type { Amount, DailyUsage, Day, DayRange, Saved } from "../usage.ts";
import { announced } from "./announce.ts";
import type { RunCache } from "./open-caching.ts";

/**
 * A ledger whose erasures reach the cache: all answers of the user are forgotten there, or everyone's, as it is not known of a cached
 * answer which run it was made for, and a new call for a few of them costs less than an answer that should be gone.
 */
export class AnnouncingLedger implements LedgerStore {
  readonly #ledger: LedgerStore;
  readonly #cache: RunCache;

  constructor(ledger: LedgerStore, cache: RunCache) {
    this.#ledger = ledger;
    this.#cache = cache;
  }

  open(user: string, opening: LedgerOpening): Promise<void> {
    return this.#ledger.open(user, opening);
  }

  settle(user: string, id: string, settlement: LedgerSettlement): Promise<void> {
    return this.#ledger.settle(user, id, settlement);
  }

  findAnswer(scope: string, query: AnswerQuery): Promise<LedgerRow | null> {
    return this.#ledger.findAnswer(scope, query);
  }

  spent(user: string, runId: string): Promise<RunUsage> {
    return this.#ledger.spent(user, runId);
  }

  spentOn(user: string, day: Day): Promise<Amount> {
    return this.#ledger.spentOn(user, day);
  }

  ofRun(user: string, runId: string): Promise<readonly LedgerRow[]> {
    return this.#ledger.ofRun(user, runId);
  }

  countSaved(user: string, saved: Saved): Promise<void> {
    return this.#ledger.countSaved(user, saved);
  }

  usage(user: string | null, days: DayRange): Promise<readonly DailyUsage[]> {
    return this.#ledger.usage(user, days);
  }

  erase(user: string | null, erasure: Erasure): Promise<number> {
    const forget = () => this.#forget(user);
    return announced(this.#ledger.erase(user, erasure), forget, forget);
  }

  #forget(user: string | null): Promise<unknown> {
    return user === null ? this.#cache.clear(FAMILY) : this.#cache.clear(FAMILY, { user: `user:${user}` });
  }
}

const FAMILY = "answers";

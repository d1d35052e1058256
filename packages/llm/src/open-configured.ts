import type { GuardedRedis } from "@mythic/shared/redis";
import type { AnswerFamily } from "./answers/shelf.ts";
import type { Ledger } from "./ledger.ts";
import { type OpenAnswers, openAnswers } from "./open-answers.ts";
import type { AnswersConfig } from "./settings.ts";

/** What there is in a process to keep answers with. The stores and the cache of `@mythic/runs` have this shape. */
export interface AnswersPlace {
  readonly store: {
    readonly ledger: Ledger;
    readonly secrets: { obtain(name: string): Promise<string> };
  };
  readonly caching: {
    /** Null: answers are kept in the ledger alone. */
    readonly cache: { readonly families: { readonly answers: AnswerFamily } } | null;
    /** Null: this process shares with nobody. */
    readonly redis: GuardedRedis | null;
    readonly namespace: string;
  };
  /** How long answers are cached, in milliseconds. */
  readonly ttlMs: number;
  /** Calls that steps of this process have on their way at once. No limit unless told. */
  readonly callsAtOnce?: number;
  /** How many processes share the limits, for while they do not hear of each other. 1 unless told. */
  readonly instances?: number;
}

/** The store's secret of this name is made when it is first asked for, and is the same for all who share the store. */
const SECRET = "answers";

/** Opens the way to the models that are configured; null where none is. */
export async function openConfiguredAnswers(
  { upstreams, secret, encryptionKeys, userLimits }: AnswersConfig,
  { store, caching, ...place }: AnswersPlace,
): Promise<OpenAnswers | null> {
  if (upstreams === null) return null;
  const { cache, redis, namespace } = caching;
  return openAnswers({
    upstreams,
    ledger: store.ledger,
    secret: secret ?? (await store.secrets.obtain(SECRET)),
    redis,
    namespace,
    family: cache?.families.answers ?? null,
    encryptionKeys,
    userLimits,
    ...place,
  });
}

import type { Ledger, Model } from "../src/index.ts";
import { openAnswers } from "../src/open-answers.ts";
import { createStepModel } from "../src/step-model.ts";
import { type PriceOf, priceOf } from "../src/upstream/prices.ts";
import { Upstream, Upstreams } from "../src/upstream/upstreams.ts";

export interface ModelOptions {
  readonly baseUrl: string;
  readonly ledger: Ledger;
  readonly answerReuseMs?: number;
  readonly callsAtOnce?: number;
  readonly timeoutMs?: number;
  readonly prices?: PriceOf;
  readonly now?: () => Date;
}

/** A model behind one endpoint, without Redis. */
export function modelWith(options: ModelOptions): Model {
  const { baseUrl, ledger, answerReuseMs = 0, callsAtOnce, timeoutMs, prices = priceOf, now } = options;
  const upstream = new Upstream({ name: "fake", baseUrl, apiKey: "key", models: ["*"], prices });
  const { answers } = openAnswers({
    upstreams: new Upstreams([upstream]),
    ledger,
    secret: "a secret of the tests, which is long enough",
    redis: null,
    namespace: "test",
    family: null,
    ttlMs: 3_600_000,
    ...(callsAtOnce === undefined ? {} : { callsAtOnce }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(now === undefined ? {} : { now }),
  });
  return createStepModel({ answers, reuseMs: answerReuseMs });
}

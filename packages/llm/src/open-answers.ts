import type { GuardedRedis } from "@mythic/shared/redis";
import { AnswerFlights } from "./answers/answer-flights.ts";
import { Answers } from "./answers/answers.ts";
import { KeptAnswers } from "./answers/kept-answers.ts";
import { PaidCalls, type UserLimits } from "./answers/paid-calls.ts";
import { Savings } from "./answers/savings.ts";
import { createSealer } from "./answers/sealing.ts";
import { type AnswerFamily, Shelf } from "./answers/shelf.ts";
import { openTraces } from "./answers/traces.ts";
import { openGate } from "./budgets/gate.ts";
import { openFlights } from "./flight/open-flights.ts";
import type { Ledger } from "./ledger.ts";
import { RequestKeys } from "./request/request-key.ts";
import { CallSlots } from "./upstream/call-slots.ts";
import { type Endpoint, openEndpoint } from "./upstream/endpoint.ts";
import type { Upstream, Upstreams } from "./upstream/upstreams.ts";

export interface AnswersOptions {
  readonly upstreams: Upstreams;
  readonly ledger: Ledger;
  /** Of the keys; at least 32 bytes. Processes that share answers share it. */
  readonly secret: string;
  /** Null: this process shares with nobody. */
  readonly redis: GuardedRedis | null;
  /** What keys in Redis begin with. */
  readonly namespace: string;
  /** Where answers are kept for a while; null: nowhere. */
  readonly family: AnswerFamily | null;
  /** How long, in milliseconds, where the call does not say. */
  readonly ttlMs: number;
  /** With the first of them, what is kept is encrypted; 32 bytes each, in base64 or hexadecimal. None: it is not. */
  readonly encryptionKeys?: readonly string[];
  /** Calls that steps of this process have on their way at once; more wait in line. No limit unless told. */
  readonly callsAtOnce?: number;
  /** How many processes share the limits, for while they do not hear of each other. 1 unless told. */
  readonly instances?: number;
  readonly userLimits?: UserLimits;
  /** What counts as a minute of the limits per minute, in milliseconds. A minute unless told. */
  readonly limitPeriodMs?: number;
  /** How long a leader who is gone is waited for, in milliseconds. */
  readonly leaseMs?: number;
  /** Of a whole call, in milliseconds. */
  readonly timeoutMs?: number;
  readonly now?: () => Date;
}

export interface OpenAnswers extends AsyncDisposable {
  readonly answers: Answers;
  readonly upstreams: Upstreams;
  /** How long answers are kept where the call does not say, in milliseconds. */
  readonly ttlMs: number;
  /** Forgets what is known of a user's requests, for explanations: digests, no texts. Answers are the ledger's and the cache's to erase. */
  forget(user: string): Promise<void>;
}

/** Opens the way to the models. */
export function openAnswers(options: AnswersOptions): OpenAnswers {
  const { upstreams, ledger, secret, redis, namespace, family, ttlMs, now = () => new Date() } = options;
  const { encryptionKeys = [], callsAtOnce = Number.POSITIVE_INFINITY, leaseMs, userLimits } = options;
  // Before all that would have to be closed again.
  const keys = new RequestKeys({ secret });
  const sealer = createSealer(encryptionKeys);
  const traces = openTraces({ redis, namespace });
  const shelf = new Shelf({ family, sealer: encryptionKeys.length === 0 ? null : sealer });
  const kept = new KeptAnswers({ shelf, ledger, traces, ttlMs, now });
  const gate = openGate({
    redis,
    namespace,
    ledger,
    now,
    ...(options.instances ? { instances: options.instances } : {}),
    ...(options.limitPeriodMs ? { periodMs: options.limitPeriodMs } : {}),
  });
  const flights = openFlights({ redis, namespace, sealer, ...(leaseMs ? { leaseMs } : {}) });
  const calls = new PaidCalls({
    ledger,
    gate,
    endpointOf: endpoints(now),
    slots: new CallSlots(callsAtOnce),
    now,
    ...(options.timeoutMs ? { timeoutMs: options.timeoutMs } : {}),
    ...(userLimits ? { userLimits } : {}),
  });
  const savings = new Savings(ledger);
  const answers = new Answers({
    upstreams,
    keys,
    kept,
    flights: new AnswerFlights({ flights, kept, calls, now }),
    traces,
    savings,
    now,
  });
  const close = async () => {
    await flights.close();
    await gate.close();
    await savings[Symbol.asyncDispose]();
  };
  const forget = (user: string) => traces.forget(`user:${user}`);
  return { answers, upstreams, ttlMs, forget, [Symbol.asyncDispose]: close };
}

/** One client for each upstream. */
function endpoints(now: () => Date): (upstream: Upstream) => Endpoint {
  const open = new WeakMap<Upstream, Endpoint>();
  return (upstream) => {
    const { baseUrl } = upstream;
    const endpoint = open.get(upstream) ?? openEndpoint({ apiKey: upstream.revealKey(), baseUrl, now });
    open.set(upstream, endpoint);
    return endpoint;
  };
}

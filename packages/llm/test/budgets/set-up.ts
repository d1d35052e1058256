import { randomUUID } from "node:crypto";
import { type GuardedRedis, openGuardedRedis, waitForRedis } from "@mythic/shared/redis";
import { PATIENT_MS } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import {
  type Admission,
  type Closed,
  type Gate,
  type GateOptions,
  openGate,
} from "../../src/budgets/gate.ts";
import type { GateCall } from "../../src/budgets/order.ts";
import { ModelError, type ModelErrorCode } from "../../src/model-error.ts";
import type { UpstreamResult } from "../../src/upstream/endpoint.ts";
import { NO_RATE_HEADERS, type RateHeaders } from "../../src/upstream/rate-headers.ts";

/** The sums of a ledger, as a test writes them down. */
class Sums {
  /** Of runs, and of users on any day. */
  readonly cost = new Map<string, number | null>();
  readonly tokens = new Map<string, number>();
  /** How often it was asked. */
  asked = 0;

  async spent(_user: string, runId: string) {
    this.asked += 1;
    return { cost: this.cost.get(runId) ?? (this.cost.has(runId) ? null : 0) };
  }

  async spentOn(user: string) {
    this.asked += 1;
    return { calls: 0, tokens: this.tokens.get(user) ?? 0, cost: this.cost.get(user) ?? 0, unpriced: 0 };
  }

  add(name: string, { cost, tokens = 0 }: { readonly cost: number; readonly tokens?: number }): void {
    this.cost.set(name, (this.cost.get(name) ?? 0) + cost);
    this.tokens.set(name, (this.tokens.get(name) ?? 0) + tokens);
  }
}

/** Gates of several processes, as far as they share nothing but Redis and the ledger. */
export class GateHouse implements AsyncDisposable {
  readonly sums = new Sums();
  readonly #stack = new AsyncDisposableStack();
  readonly #namespace: string;
  readonly #url: string | null;
  readonly #connections: GuardedRedis[] = [];

  /** Null: without Redis. */
  constructor(url: string | null, namespace = `test-${randomUUID()}`) {
    this.#url = url;
    this.#namespace = namespace;
  }

  get isConnected(): boolean {
    return this.#connections.every(({ breaker }) => breaker.state === "closed");
  }

  /** Resolves when so many gates listen to each other. */
  async isHeardBy(gates: number): Promise<void> {
    const channel = `${this.#namespace}:cool-down`;
    await waitFor(async () => {
      const reply = await this.#connections[0]?.connection.call("PUBSUB", "NUMSUB", channel);
      return Array.isArray(reply) && Number(reply[1]) >= gates;
    });
  }

  /** `commandTimeoutMs`: of Redis, for tests that freeze it. */
  async open(options: Partial<GateOptions> = {}, commandTimeoutMs = PATIENT_MS): Promise<Gate> {
    const redis =
      this.#url === null ? null : openGuardedRedis(this.#url, { probeAfterMs: 100, commandTimeoutMs });
    if (redis !== null) {
      this.#stack.defer(() => redis.close());
      this.#connections.push(redis);
      await waitForRedis(redis, 10_000);
    }
    const gate = openGate({ redis, namespace: this.#namespace, ledger: this.sums, ...options });
    this.#stack.defer(() => gate.close());
    return gate;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

const NO_LIMITS = { requestsPerMinute: null, tokensPerMinute: null };

export function callWith(
  extra: Partial<GateCall> & { readonly rpm?: number; readonly tpm?: number } = {},
): GateCall {
  const { rpm = null, tpm = null, ...rest } = extra;
  const limits = rpm === null && tpm === null ? NO_LIMITS : { requestsPerMinute: rpm, tokensPerMinute: tpm };
  return {
    ...{ upstream: { name: "cloud", limits }, model: "gpt-5-mini", user: "ada", runId: "run1" },
    ...{ estimate: { tokens: 1_000, cost: 100 }, maxCost: null },
    ...rest,
  };
}

export async function admitted(entering: Promise<Admission | Closed>): Promise<Admission> {
  const answer = await entering;
  if (answer.kind === "open") return answer;
  throw new Error(`The gate is closed: ${JSON.stringify(answer)}`);
}

export async function refused(entering: Promise<Admission | Closed>): Promise<Closed> {
  const answer = await entering;
  if (answer.kind === "closed") return answer;
  throw new Error("The gate is open.");
}

/** Lets in as many as it can, at once. */
export async function enterMany(gate: Gate, call: GateCall, most = 100): Promise<Admission[]> {
  const admissions: Admission[] = [];
  while (admissions.length < most) {
    const answer = await gate.enter(call);
    if (answer.kind === "closed") return admissions;
    admissions.push(answer);
  }
  return admissions;
}

export function well(tokens = 1_000, limits: RateHeaders = NO_RATE_HEADERS): UpstreamResult {
  const usage = { inputTokens: tokens, cachedTokens: null, outputTokens: 0 };
  const message = { role: "assistant" as const, content: "" };
  const completion = {
    ...{ id: "", modelAnswered: null, serviceTier: null, usage, finishReason: "stop", message },
    ...{ content: "", refusal: "", body: null },
  };
  return { kind: "answered", completion, latencyMs: 10, limits };
}

export function failure(status: number | null, retryAfterMs: number | null = null): UpstreamResult {
  const code: ModelErrorCode = status === 429 ? "model_rate_limited" : "model_unavailable";
  const error = new ModelError(code, "No.", { retryAfterMs });
  return {
    ...{ kind: "failed", error, mayBePaid: false, status },
    retryAfterMs,
    latencyMs: 10,
    limits: NO_RATE_HEADERS,
  };
}

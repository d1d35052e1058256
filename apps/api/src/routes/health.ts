import type { IncomingMessage } from "node:http";
import type { z } from "zod";
import { withPatience } from "../deadline.ts";
import { Problem } from "../errors.ts";
import type { RedisStates, RoleState } from "../redis-state.ts";
import { liveSchema, readySchema, redisSchema } from "../wire/health.ts";
import { NOTHING, publicRoute, type Route, type Services } from "./route.ts";

/** Health is answered within a second: what is not known by then is unknown. */
const STORE_PATIENCE_MS = 950;
const CALLER_PATIENCE_MS = 900;

const live = publicRoute(
  {
    method: "get",
    path: "/health/live",
    summary: "Is the process alive?",
    pathSchema: NOTHING,
    querySchema: NOTHING,
    answers: { 200: { description: "It is.", content: { "application/json": liveSchema } } },
    errors: [],
  },
  async () => ({ status: 200, json: { status: "ok" } }),
);

const ready = publicRoute(
  {
    method: "get",
    path: "/health/ready",
    summary: "Can requests be answered?",
    pathSchema: NOTHING,
    querySchema: NOTHING,
    answers: { 200: { description: "They can.", content: { "application/json": readySchema } } },
    errors: ["not_ready"],
  },
  async ({ services }) => {
    if (services.closing.aborted) throw notReady("The server is stopping.");
    const [states] = await Promise.all([services.redis.states(), requireStore(services)]);
    return { status: 200, json: { status: isDegraded(states) ? "degraded" : "ok" } };
  },
);

async function requireStore({ store }: Services): Promise<void> {
  try {
    await withPatience(store.ping(), STORE_PATIENCE_MS);
  } catch (cause) {
    throw notReady("The store does not answer.", cause);
  }
}

function notReady(detail: string, cause?: unknown): Problem {
  return new Problem("not_ready", detail, { cause, headers: { "retry-after": "1" } });
}

const redis = publicRoute(
  {
    method: "get",
    path: "/health/redis",
    summary: "How are the two roles of Redis?",
    pathSchema: NOTHING,
    querySchema: NOTHING,
    answers: {
      200: { description: "Also when none is reachable.", content: { "application/json": redisSchema } },
    },
    errors: [],
  },
  async ({ services, request }) => {
    const [states, details] = await Promise.all([services.redis.states(), mayKnowDetails(services, request)]);
    const { queue, cache } = states;
    const isOff = queue.state === "not_configured" && cache.state === "not_configured";
    const status = isDegraded(states) ? "degraded" : isOff ? "off" : "ok";
    const tracking = services.cache?.health().coherence ?? "off";
    const roles = details
      ? { queue: wireRole(queue), cache: { ...wireRole(cache), tracking } }
      : { queue: { state: queue.state }, cache: { state: cache.state } };
    return { status: 200, json: { status, roles } satisfies z.infer<typeof redisSchema> };
  },
);

function isDegraded({ queue, cache }: RedisStates): boolean {
  return [queue, cache].some(({ state }) => state === "unreachable" || state === "degraded");
}

/** Whoever cannot be identified in time, or at all, is shown what everyone is shown. */
async function mayKnowDetails(services: Services, request: IncomingMessage): Promise<boolean> {
  try {
    const { role } = await withPatience(services.identify(request), CALLER_PATIENCE_MS);
    return role === "admin";
  } catch {
    return false;
  }
}

function wireRole(role: RoleState): z.infer<typeof redisSchema>["roles"]["queue"] {
  const { state } = role;
  if (state === "not_configured") return { state };
  const { latencyMs, version, usedMemory, maxMemory, policy, breaker, lastError } = role.health;
  return {
    state,
    latency_ms: latencyMs,
    version,
    used_memory: usedMemory,
    max_memory: maxMemory,
    policy,
    breaker: breaker && {
      state: breaker.state,
      opens: breaker.opens,
      timeouts: breaker.timeouts,
      errors: breaker.errors,
      opened_at: breaker.openedAt?.toISOString() ?? null,
    },
    last_error: lastError,
  };
}

export const HEALTH_ROUTES: readonly Route[] = [live, ready, redis];

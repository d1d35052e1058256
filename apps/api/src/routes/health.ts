import type { IncomingMessage } from "node:http";
import type { z } from "zod";
import { withPatience } from "../deadline.ts";
import { Problem } from "../errors.ts";
import type { RoleState } from "../redis-state.ts";
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
    if (services.isClosing()) throw notReady("The server is stopping.");
    const [states] = await Promise.all([services.redis.states(), requireStore(services)]);
    const lost = [states.queue, states.cache].some(({ state }) => state === "unreachable");
    return { status: 200, json: { status: lost ? "degraded" : "ok" } };
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
    const [{ queue, cache }, details] = await Promise.all([
      services.redis.states(),
      mayKnowDetails(services, request),
    ]);
    const states = [queue.state, cache.state];
    const off = states.every((state) => state === "not_configured");
    const status = states.includes("unreachable") ? "degraded" : off ? "off" : "ok";
    const roles = { queue: wireRole(queue, details), cache: wireRole(cache, details) };
    return { status: 200, json: { status, roles } satisfies z.infer<typeof redisSchema> };
  },
);

/** Whoever cannot be identified in time, or at all, is shown what everyone is shown. */
async function mayKnowDetails(services: Services, request: IncomingMessage): Promise<boolean> {
  try {
    const { role } = await withPatience(services.identify(request), CALLER_PATIENCE_MS);
    return role === "admin";
  } catch {
    return false;
  }
}

function wireRole(role: RoleState, details: boolean): z.infer<typeof redisSchema>["roles"]["queue"] {
  const { state } = role;
  if (!details || state === "not_configured") return { state };
  const { health } = role;
  return {
    state,
    latency_ms: health?.latencyMs ?? null,
    version: health?.version ?? null,
    used_memory: health?.usedMemory ?? null,
    max_memory: health?.maxMemory ?? null,
    policy: health?.policy ?? null,
    last_error: health ? health.lastError : "Redis does not answer.",
  };
}

export const HEALTH_ROUTES: readonly Route[] = [live, ready, redis];

import { adminRoute, NOTHING, type Route } from "./route.ts";

const show = adminRoute(
  {
    method: "get",
    path: "/metrics",
    summary: "Figures for Prometheus",
    pathSchema: NOTHING,
    querySchema: NOTHING,
    answers: {
      200: {
        description: "Of this process, of the store and of Redis.",
        content: { "text/plain": { description: "Prometheus' text format." } },
      },
    },
    errors: [],
    limits: [],
  },
  async ({ services: { metrics } }) => ({
    status: 200,
    raw: { type: metrics.type, content: await metrics.text() },
  }),
);

export const METRICS_ROUTES: readonly Route[] = [show];

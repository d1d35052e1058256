import { type DayRange, dayOf, sumUsage } from "@mythic/runs";
import { z } from "zod";
import { requireAdmin } from "../authenticate.ts";
import { Problem } from "../errors.ts";
import { daySchema, usageReportSchema, wireUsageReport } from "../wire/usage.ts";
import { NOTHING, type Route, userRoute } from "./route.ts";

const DAY_MS = 24 * 3_600_000;
/** Days of a report whose beginning is not said. */
const USUAL_DAYS = 30;
const MOST_DAYS = 366;

const querySchema = z.object({
  from: daySchema.optional(),
  to: daySchema.optional(),
  user: z
    .string()
    .min(1)
    .optional()
    .meta({ description: "Whose. Admins alone may name another one, and get everyone's without it." }),
});

const show = userRoute(
  {
    method: "get",
    path: "/usage",
    summary: "What was spent, saved and wasted on models",
    pathSchema: NOTHING,
    querySchema,
    answers: {
      200: { description: "By day and model.", content: { "application/json": usageReportSchema } },
    },
    errors: ["invalid_request", "admin_required"],
  },
  async ({ services: { store }, caller, query }) => {
    const { user: named } = query;
    if (named !== undefined && named !== caller.user) requireAdmin(caller);
    const user = named ?? (caller.role === "admin" ? null : caller.user);
    const range = rangeOf(query, new Date());
    const days = await store.ledger.usage(user, range);
    return { status: 200, json: wireUsageReport(user, range, { total: sumUsage(days), days }) };
  },
);

function rangeOf(
  query: { readonly from?: string | undefined; readonly to?: string | undefined },
  now: Date,
): DayRange {
  const to = query.to ?? dayOf(now);
  const from = query.from ?? dayOf(new Date(Date.parse(to) - (USUAL_DAYS - 1) * DAY_MS));
  const days = (Date.parse(to) - Date.parse(from)) / DAY_MS + 1;
  if (days >= 1 && days <= MOST_DAYS) return { from, to };
  const detail = days < 1 ? "`from` must not be after `to`." : `At most ${MOST_DAYS} days at once.`;
  throw new Problem("invalid_request", detail, { errors: [{ parameter: "from", detail }] });
}

export const USAGE_ROUTES: readonly Route[] = [show];

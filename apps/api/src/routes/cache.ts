import { FAMILY_NAMES, type RunCache } from "@mythic/runs/cache";
import { z } from "zod";
import { Problem } from "../errors.ts";
import { cacheStatsSchema, keySchema, removedSchema, wireKey, wireStats } from "../wire/cache.ts";
import { adminRoute, NOTHING, type Route } from "./route.ts";

const stats = adminRoute(
  {
    method: "get",
    path: "/cache/stats",
    summary: "What the cache is worth, summed over all processes",
    pathSchema: NOTHING,
    querySchema: NOTHING,
    answers: { 200: { description: "Sums.", content: { "application/json": cacheStatsSchema } } },
    errors: [],
  },
  async ({ services: { cache } }) => ({ status: 200, json: wireStats(cache && (await cache.stats())) }),
);

const text = (description: string) =>
  z
    .union([z.string(), z.array(z.string())])
    .optional()
    .meta({ description });

const querySchema = z.looseObject({
  pattern: text("Values whose `<family>:<key>` matches, as Redis has patterns: `run-status:*`."),
  family: text("All values of a family."),
  tag: text("What bears a tag of a user: `user:ada:books`."),
  all: text("`true`: everything."),
});

const TAG = /^user:([^:]+):./;

/** Exactly one of them, once. */
const selectionSchema = z.union([
  z.strictObject({ pattern: z.string().min(1) }),
  z.strictObject({ family: z.enum(FAMILY_NAMES) }),
  z.strictObject({ tag: z.string().regex(TAG) }),
  z.strictObject({ all: z.literal("true") }),
]);

type Selection = z.infer<typeof selectionSchema>;

const remove = adminRoute(
  {
    method: "delete",
    path: "/cache",
    summary: "Remove values from the cache",
    pathSchema: NOTHING,
    querySchema,
    answers: {
      200: { description: "How many they were.", content: { "application/json": removedSchema } },
    },
    errors: ["invalid_selection"],
  },
  async ({ services: { cache }, query }) => {
    const selection = selectionSchema.safeParse(query);
    if (!selection.success) {
      const detail = `Send one of these: pattern=…, family=… (${FAMILY_NAMES.join(", ")}), tag=user:<id>:…, all=true.`;
      throw new Problem("invalid_selection", detail);
    }
    const json: z.infer<typeof removedSchema> = {
      removed: cache === null ? 0 : await removeSelected(cache, selection.data),
    };
    return { status: 200, json };
  },
);

async function removeSelected(cache: RunCache, selection: Selection): Promise<number> {
  if ("pattern" in selection) return await cache.deleteByPattern(selection.pattern);
  if ("family" in selection) return await cache.clear(selection.family);
  if ("all" in selection) return await cache.clear();
  const [, user = ""] = TAG.exec(selection.tag) ?? [];
  return await cache.deleteByTag({ user }, selection.tag);
}

const explain = adminRoute(
  {
    method: "get",
    path: "/cache/keys/:key",
    summary: "What is known of a value in the cache, but not the value",
    pathSchema: z.object({ key: z.string().meta({ description: "The whole key in Redis." }) }),
    querySchema: NOTHING,
    answers: { 200: { description: "What is known.", content: { "application/json": keySchema } } },
    errors: [],
  },
  async ({ services: { cache }, path }) => {
    const explained = cache && (await cache.explain(path.key));
    const isThere = explained && (explained.local !== null || explained.redis !== "absent");
    if (!isThere) throw new Problem("not_found", "There is no value with this key.");
    return { status: 200, json: wireKey(explained) };
  },
);

export const CACHE_ROUTES: readonly Route[] = [stats, remove, explain];

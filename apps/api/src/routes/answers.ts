import { endpointPolicy, ModelError, PolicyError } from "@mythic/llm";
import type { Erasure } from "@mythic/runs";
import { z } from "zod";
import { requireAdmin } from "../authenticate.ts";
import { readJson } from "../body.ts";
import { Problem } from "../errors.ts";
import { chatRequestSchema, MOST_BYTES } from "../openai/chat-completions.ts";
import { explanationSchema } from "../wire/explanation.ts";
import { adminRoute, NOTHING, type Route, userRoute } from "./route.ts";

const text = (description: string) =>
  z
    .union([z.string(), z.array(z.string())])
    .optional()
    .meta({ description });

const querySchema = z.looseObject({
  run: text("Answers of a run."),
  book: text("Answers about a book."),
  key: text("The answer to a request, by its `x-mythic-cache-key`."),
  model: text("Answers of a model."),
  recipe: text("Answers of a recipe of the version in `version`."),
  version: text("A whole number; goes with `recipe`."),
  all: text("`true`: all answers."),
  user: text("Whose: admins alone may name others, or `*` for everyone."),
});

const some = z.string().min(1);
/** Exactly one of them, once. */
const erasureSchema = z.union([
  z.strictObject({ run: some }).transform(({ run }): Erasure => ({ of: "run", runId: run })),
  z.strictObject({ book: some }).transform(({ book }): Erasure => ({ of: "book", bookId: book })),
  z.strictObject({ key: some }).transform(({ key }): Erasure => ({ of: "request", keyId: key })),
  z.strictObject({ model: some }).transform(({ model }): Erasure => ({ of: "model", model })),
  z
    .strictObject({ recipe: some, version: z.string().regex(/^\d{1,9}$/) })
    .transform(({ recipe, version }): Erasure => {
      return { of: "recipe", recipe, recipeVersion: Number(version) };
    }),
  z.strictObject({ all: z.literal("true") }).transform((): Erasure => ({ of: "everything" })),
]);

const erase = userRoute(
  {
    method: "delete",
    path: "/answers",
    summary: "Erase the texts of answers, wherever they are kept",
    pathSchema: NOTHING,
    querySchema,
    answers: {
      200: {
        description: "Of how many calls. What they cost stays in the ledger.",
        content: { "application/json": z.object({ erased: z.int() }).meta({ id: "Erased" }) },
      },
    },
    errors: ["invalid_selection", "admin_required"],
  },
  async ({ services, caller, query }) => {
    const { user: named = caller.user, ...selection } = query;
    const erasure = erasureSchema.safeParse(selection);
    if (!erasure.success || typeof named !== "string" || named === "") {
      const detail = "Send one of these: run=…, book=…, key=…, model=…, recipe=…&version=…, all=true.";
      throw new Problem("invalid_selection", detail);
    }
    if (named !== caller.user) requireAdmin(caller);
    const user = named === EVERYONE ? null : named;
    if (user !== null) await services.answers?.forget(user);
    return { status: 200, json: { erased: await services.store.ledger.erase(user, erasure.data) } };
  },
);

const EVERYONE = "*";

const explain = adminRoute(
  {
    method: "post",
    path: "/answers/explain",
    summary: "Say why a request would not be answered by what is kept",
    pathSchema: NOTHING,
    querySchema: z.object({
      user: z
        .string()
        .min(1)
        .optional()
        .meta({ description: "Whose request it is. The caller's without it." }),
    }),
    limits: ["reads"],
    request: { "application/json": chatRequestSchema },
    answers: {
      200: {
        description:
          "What differs from the nearest request that was answered, and what became of its answer.",
        content: { "application/json": explanationSchema },
      },
    },
    errors: [
      "malformed_json",
      "request_timeout",
      "too_large",
      "unsupported_media_type",
      "invalid_request",
      "model_not_configured",
    ],
    hasDeadline: false,
  },
  async ({ services: { answers }, request, user, query }) => {
    const body = await readJson(request, chatRequestSchema, MOST_BYTES);
    if (answers === null) throw new Problem("model_not_configured", "Set MYTHIC_MODEL, or MYTHIC_UPSTREAMS.");
    const headers = new Headers(request.headers as Record<string, string>);
    try {
      const policy = endpointPolicy(body, headers, { mostTtlMs: answers.ttlMs });
      // Whoever asks why there is a miss means a request that would have looked.
      const looking = policy.mode === "bypass" ? { ...policy, mode: "reuse" as const } : policy;
      const scope = `user:${query.user ?? user}` as const;
      return { status: 200, json: await answers.answers.explain(body, looking, scope) };
    } catch (error) {
      throw refused(error);
    }
  },
);

/** What is wrong with the request itself, as a problem. */
function refused(error: unknown): unknown {
  const isOfRequest = error instanceof PolicyError || error instanceof ModelError;
  return isOfRequest ? new Problem("invalid_request", error.message, { cause: error }) : error;
}

export const ANSWER_ROUTES: readonly Route[] = [erase, explain];

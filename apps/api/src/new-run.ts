import { priceOf } from "@mythic/llm/prices";
import { findRecipe, RECIPE_NAMES } from "@mythic/recipes";
import { type Book, newId, type Run, submitRun } from "@mythic/runs";
import { plain } from "@mythic/runs/cache";
import { checkShape } from "./body.ts";
import { type FieldError, Problem } from "./errors.ts";
import { estimateRun } from "./estimate.ts";
import type { Services } from "./routes/route.ts";
import { runAnswer } from "./routes/status.ts";
import type { Answer } from "./send.ts";
import { type Wanted, wantedSchema } from "./wire/run.ts";

/** When a book that is being read may be asked about again. */
const BOOK_RETRY_SECONDS = 2;

/** Refuses what could never be done, before anything is stored. */
export function checkWanted(wanted: Wanted, model: string | null): void {
  const errors = wanted.recipes.flatMap((name, at): FieldError[] =>
    findRecipe(name) ? [] : [{ pointer: `/recipes/${at}`, detail: "There is no recipe of this name." }],
  );
  if (errors.length > 0) {
    throw new Problem("unknown_recipe", `There are these recipes: ${RECIPE_NAMES.join(", ")}.`, { errors });
  }
  if (wanted.options.max_cost !== null && model !== null && priceOf(model) === null) {
    const detail = "What this model costs is not known, so a limit could not be kept. Leave max_cost out.";
    const field = { pointer: "/options/max_cost", detail: "It cannot be kept." };
    throw new Problem("price_unknown", detail, { errors: [field] });
  }
}

/** What a form's fields ask for; the same shape as in JSON, with lists and objects written as text. */
export function wantedOfForm(fields: Readonly<Record<string, string>>): Wanted {
  const { recipes, options, dry_run: dryRun, ...unknown } = fields;
  const value: Record<string, unknown> = { ...unknown };
  if (recipes !== undefined) value["recipes"] = listOf(recipes);
  if (options !== undefined) value["options"] = jsonOf(options, "/options");
  if (dryRun !== undefined) value["dry_run"] = dryRun === "true" || (dryRun === "false" ? false : dryRun);
  return checkShape(value, wantedSchema);
}

function listOf(text: string): unknown {
  if (text.trimStart().startsWith("[")) return jsonOf(text, "/recipes");
  return text
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
}

function jsonOf(text: string, pointer: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw notJson(pointer, cause);
  }
}

function notJson(pointer: string, cause: unknown): Problem {
  const errors = [{ pointer, detail: "This is not JSON." }];
  return new Problem("invalid_request", "The form does not have the right shape.", { errors, cause });
}

/** For how long a run can be the one of a repeated request: as long as answers are kept. */
const MARK_MS = 24 * 3_600_000;
const RUNS_PER_LOOK = 100;

/** What is asked for, with the mark of the request that asks: null for a request that is never the same as another. */
export interface MarkedWanted extends Wanted {
  readonly mark: string | null;
}

/** Starts a run of a book, or answers what it would take. */
export async function startRun(services: Services, book: Book, wanted: MarkedWanted): Promise<Answer> {
  const { model, store } = services;
  if (book.status === "refused") {
    throw new Problem("book_refused", book.error?.detail ?? "The book cannot be used.", {
      more: { book_id: book.id },
    });
  }
  if (wanted.dry_run) {
    requireReady(book);
    const estimate = await estimateRun(store.books, { book, recipes: wanted.recipes, model });
    return { status: 200, json: estimate };
  }
  const run = (await findMarked(services, book, wanted.mark)) ?? (await submitMarked(services, book, wanted));
  return runAnswer(plain(run), 202, { location: `/status/${run.id}` });
}

/** The run that the same request has made before, advanced as far as it goes. */
async function findMarked(
  { store, advancer }: Services,
  book: Book,
  mark: string | null,
): Promise<Run | null> {
  const since = Date.now() - MARK_MS;
  for (let after: string | null = null; mark !== null; ) {
    const { items, next } = await store.runs.list(book.user, {
      bookId: book.id,
      limit: RUNS_PER_LOOK,
      after,
    });
    const recent = items.filter(({ queuedAt }) => queuedAt.getTime() >= since);
    const made = recent.find(({ id }) => id.endsWith(mark));
    if (made) {
      await advancer.advanceRun(book.user, made.id);
      return await store.runs.get(book.user, made.id);
    }
    if (next === null || recent.length < items.length) return null;
    after = next;
  }
  return null;
}

async function submitMarked(services: Services, book: Book, wanted: MarkedWanted): Promise<Run> {
  const { mark } = wanted;
  const id = newId("run");
  return await submitRun(services, book.user, {
    id: mark === null ? id : id.slice(0, -mark.length) + mark,
    bookId: book.id,
    recipes: wanted.recipes,
    options: {
      maxCost: wanted.options.max_cost,
      fresh: wanted.options.fresh,
      ...(wanted.options.service_tier === null ? {} : { serviceTier: wanted.options.service_tier }),
    },
    model: services.model,
  });
}

function requireReady(book: Book): void {
  if (book.status === "ready") return;
  throw new Problem("book_not_ready", "What a run would take is known once the book was read.", {
    headers: { "retry-after": String(BOOK_RETRY_SECONDS) },
    more: { book_id: book.id },
  });
}

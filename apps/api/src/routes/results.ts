import { findRecipe } from "@mythic/recipes";
import { type Book, type Run, readResult, type Store } from "@mythic/runs";
import { z } from "zod";
import { notFound, Problem } from "../errors.ts";
import type { Answer } from "../send.ts";
import { bookFacts, resultSchema, wireResult } from "../wire/result.ts";
import { methodOf } from "../wire/run.ts";
import { runPath, wholeNumber } from "./parameters.ts";
import { NOTHING, type Route, userRoute } from "./route.ts";

const MOST_CHAPTERS = 500;
const USUAL_CHAPTERS = 100;

const querySchema = NOTHING.extend({
  recipe: z.string().optional().meta({ description: "This one of the run's recipes only." }),
  after: z
    .string()
    .regex(/^\d{1,7}$/, "Pass what `next` of the page before was.")
    .transform(Number)
    .optional()
    .meta({ description: "`next` of the page before." }),
  limit: wholeNumber(1, MOST_CHAPTERS, USUAL_CHAPTERS),
  format: z
    .enum(["json", "md"])
    .default("json")
    .meta({ description: "`md`: one recipe as a Markdown file." }),
});

const show = userRoute(
  {
    method: "get",
    path: "/runs/:id/result",
    summary: "Read what a run has made, also while it goes on",
    pathSchema: runPath,
    querySchema,
    answers: {
      200: {
        description: "Everything that is there, or one page of it.",
        content: {
          "application/json": resultSchema,
          "text/markdown": { description: "With `format=md`: everything, as a file." },
        },
      },
    },
    errors: ["unknown_recipe"],
  },
  async ({ services, user, path, query, note }) => {
    note({ run_id: path.id });
    const { store } = services;
    const run = await store.runs.get(user, path.id);
    if (!run) throw notFound("run");
    const recipes = recipesOf(run, query.recipe);
    const book = await store.books.get(user, run.bookId);
    if (query.format === "md") return await markdownAnswer(store, run, book, recipes);
    const page = { after: query.after ?? null, limit: query.limit };
    const results = await Promise.all(recipes.map((recipe) => readResult(store, run, recipe, page)));
    return {
      status: 200,
      headers: { "cache-control": "private, no-cache" },
      json: wireResult(run, book, results),
    };
  },
);

function recipesOf(run: Run, wanted: string | undefined): readonly string[] {
  if (wanted === undefined) return run.recipes;
  if (run.recipes.includes(wanted)) return [wanted];
  throw new Problem("unknown_recipe", `The run has these recipes: ${run.recipes.join(", ")}.`, {
    errors: [{ parameter: "recipe", detail: "The run does not have this recipe." }],
  });
}

async function markdownAnswer(
  store: Store,
  run: Run,
  book: Book | null,
  recipes: readonly string[],
): Promise<Answer> {
  const [name = ""] = recipes;
  const recipe = findRecipe(name);
  if (recipes.length !== 1 || !recipe) {
    throw new Problem("unknown_recipe", `A Markdown file is of one recipe: ${run.recipes.join(", ")}.`, {
      errors: [{ parameter: "recipe", detail: "Name one of them." }],
    });
  }
  const { chapters, whole } = await readResult(store, run, name);
  const { fileName, markdown } = recipe.render({
    book: bookFacts(book),
    chapters: chapters.map(({ chapter: { id, title, path }, value }) => ({ id, title, path, value })),
    whole,
    method: methodOf(run),
  });
  return {
    status: 200,
    headers: {
      "cache-control": "private, no-cache",
      "content-disposition": `attachment; filename="${fileName}"`,
    },
    raw: { type: "text/markdown; charset=utf-8", content: markdown },
  };
}

export const RESULT_ROUTES: readonly Route[] = [show];

import { findRecipe } from "@mythic/recipes";
import type { ChapterPage } from "@mythic/runs";
import type { BookView, ResultView, RunView } from "@mythic/runs/cache";
import { z } from "zod";
import { notFound, Problem } from "../errors.ts";
import { cached, together } from "../found.ts";
import type { Answer } from "../send.ts";
import { bookFacts, resultSchema, wireResult } from "../wire/result.ts";
import { methodOf } from "../wire/run.ts";
import { runPath, wholeNumber } from "./parameters.ts";
import { NOTHING, type Route, type UserContext, userRoute } from "./route.ts";

const MOST_CHAPTERS = 500;
const USUAL_CHAPTERS = 100;
const EVERYTHING: ChapterPage = { after: null, limit: Number.POSITIVE_INFINITY };

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
  async (context) => {
    const { services, user, path, query, record } = context;
    record.fields.run_id = path.id;
    const { value: run } = await services.reads.run(user, path.id);
    if (!run) throw notFound("run");
    const recipes = recipesOf(run, query.recipe);
    const whole = (await services.reads.book(user, run.bookId)).value;
    const shown = { run, book: whole?.book ?? null, recipes };
    if (query.format === "md") return await markdownAnswer(context, shown);
    const page = { after: query.after ?? null, limit: query.limit };
    const results = await resultsOf(context, shown, page);
    return {
      status: 200,
      headers: { "cache-control": "private, no-cache" },
      json: wireResult(run, shown.book, results),
    };
  },
);

/** What is asked for. */
interface Shown {
  readonly run: RunView;
  /** Null once it was deleted. */
  readonly book: BookView | null;
  readonly recipes: readonly string[];
}

type Context = Pick<UserContext<unknown, unknown>, "services" | "user" | "record">;

async function resultsOf(
  { services, user, record }: Context,
  { run, recipes }: Shown,
  page: ChapterPage,
): Promise<readonly ResultView[]> {
  const finding = recipes.map((recipe) => services.reads.result(user, run, recipe, page));
  const results = await cached(record, together(finding));
  if (!results) throw notFound("run");
  return results;
}

function recipesOf(run: RunView, wanted: string | undefined): readonly string[] {
  if (wanted === undefined) return run.recipes;
  if (run.recipes.includes(wanted)) return [wanted];
  throw new Problem("unknown_recipe", `The run has these recipes: ${run.recipes.join(", ")}.`, {
    errors: [{ parameter: "recipe", detail: "The run does not have this recipe." }],
  });
}

async function markdownAnswer(context: Context, shown: Shown): Promise<Answer> {
  const { run, book, recipes } = shown;
  const recipe = findRecipe(recipes[0] ?? "");
  if (recipes.length !== 1 || !recipe) {
    throw new Problem("unknown_recipe", `A Markdown file is of one recipe: ${run.recipes.join(", ")}.`, {
      errors: [{ parameter: "recipe", detail: "Name one of them." }],
    });
  }
  const [result] = await resultsOf(context, shown, EVERYTHING);
  const { chapters = [], whole = null } = result ?? {};
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

import type { Asker } from "@mythic/llm";
import { type Ask, type BookFacts, findRecipe, type Recipe } from "@mythic/recipes";
import type { Run, Step } from "@mythic/runs";
import { StepError } from "../step-error.ts";
import type { StepContext } from "../work-step.ts";
import type { StepParts } from "./execute-step.ts";

/** What a step of a recipe works with. */
export interface RecipeContext {
  readonly recipe: Recipe;
  readonly book: BookFacts;
  /** Null runs the offline method. */
  readonly ask: Ask | null;
  readonly reusedAnswers: () => number;
}

/** @throws StepError when this worker does not know the recipe or has no model, which a worker of another version may */
export async function openRecipe({ store, model }: StepParts, context: StepContext): Promise<RecipeContext> {
  const { step, run } = context;
  const recipe = findRecipe(step.recipe ?? "");
  if (!recipe || !run)
    throw new StepError("unknown_recipe", `No recipe of the name ${step.recipe} is known here.`, true);
  const book = await store.books.get(step.user, step.bookId);
  if (!book) throw new StepError("book_deleted", "The book was deleted.", false);
  const facts: BookFacts = { title: book.title, authors: book.authors, language: book.language };
  if (run.model === null) return { recipe, book: facts, ask: null, reusedAnswers: () => 0 };
  if (!model) {
    throw new StepError(
      "model_not_configured",
      "The worker that took this step has no model configured.",
      true,
    );
  }
  const conversation = model.conversation(
    askerOf(run, recipe, context, { model: run.model, bookDigest: book.sha256 }),
  );
  const ask: Ask = async (question) => {
    await context.assertWanted();
    return conversation.ask(question);
  };
  return { recipe, book: facts, ask, reusedAnswers: () => conversation.reusedAnswers };
}

function askerOf(
  run: Run,
  recipe: Recipe,
  { step, signal }: StepContext,
  asked: Pick<Asker, "model" | "bookDigest">,
): Asker {
  return {
    user: step.user,
    runId: run.id,
    stepId: step.id,
    fence: step.fence,
    recipe: recipe.name,
    recipeVersion: recipe.version,
    ...asked,
    freshSince: freshSince(run, step),
    maxCost: run.options.maxCost,
    serviceTier: run.options.serviceTier ?? null,
    signal,
  };
}

/** Errors of answers that kept to the schema but are of no use: the same answer again would end the same way. */
const USELESS_ANSWER = ["no_verified_points", "invalid_summary"];

function freshSince(run: Run, step: Step): Date | null {
  if (USELESS_ANSWER.includes(step.error?.code ?? "")) return step.startedAt;
  return run.options.fresh ? run.queuedAt : null;
}

import { StepError } from "../step-error.ts";
import type { StepContext, StepOutcome } from "../work-step.ts";
import type { StepParts } from "./execute-step.ts";
import { openRecipe } from "./recipe-context.ts";

/** One chapter through one recipe. */
export async function processChapter(parts: StepParts, context: StepContext): Promise<StepOutcome> {
  const { step } = context;
  const [{ recipe, book, ask, reusedAnswers }, chapter] = await Promise.all([
    openRecipe(parts, context),
    parts.store.books.chapter(step.user, step.bookId, Number(step.unit)),
  ]);
  if (!chapter) throw new StepError("chapter_missing", "The chapter is not in the store.", false);
  const value = await recipe.chapter({ book, chapter, ask });
  return { value, reusedAnswers: reusedAnswers() };
}

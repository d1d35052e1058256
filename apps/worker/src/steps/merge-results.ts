import { ROOT_UNIT } from "@mythic/runs";
import type { StepContext, StepOutcome } from "../work-step.ts";
import type { StepParts } from "./execute-step.ts";
import { openRecipe } from "./recipe-context.ts";

/** Results of neighbouring chapters, or of merges below, into one. Inputs that came to nothing are left out. */
export async function mergeResults(parts: StepParts, context: StepContext): Promise<StepOutcome> {
  const { step } = context;
  const [{ recipe, book, ask, reusedAnswers }, results, ...inputs] = await Promise.all([
    openRecipe(parts, context),
    parts.store.steps.results(step.user, step.inputs),
    ...step.inputs.map((id) => parts.store.steps.get(step.user, id)),
  ]);
  const titles = new Map(inputs.map((input) => [input?.id, input?.title]));
  const children = results.map(({ stepId, value }) => ({ title: titles.get(stepId) ?? "", value }));
  const whole = step.unit === ROOT_UNIT;
  const value = await recipe.merge({ book, title: step.title, whole, children, ask });
  return { value, reusedAnswers: reusedAnswers() };
}

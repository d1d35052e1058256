import { type Coverage, type RecipeResult, type RunReport, readResult } from "@mythic/runs";
import type { StepContext, StepOutcome } from "../work-step.ts";
import type { StepParts } from "./execute-step.ts";

/** Closes a run: measures how its results cover the book. The run itself is closed by what is stored of its steps. */
export async function finishRun({ store }: StepParts, { run }: StepContext): Promise<StepOutcome> {
  const coverage: Coverage[] = [];
  for (const recipe of run?.recipes ?? []) {
    if (run) coverage.push(coverageOf(await readResult(store, run, recipe)));
  }
  const value: RunReport = { coverage };
  return { value, reusedAnswers: 0 };
}

function coverageOf({ recipe, chapters }: RecipeResult): Coverage {
  const end = chapters.reduce((most, { chapter }) => Math.max(most, chapter.start + chapter.length), 1);
  const quotationsByTenth = new Array<number>(10).fill(0);
  let chaptersWithEvidence = 0;
  for (const { chapter, value } of chapters) {
    const starts = evidenceStarts(value);
    if (starts.length > 0) chaptersWithEvidence++;
    for (const start of starts) {
      const tenth = Math.min(9, Math.floor(((chapter.start + start) / end) * 10));
      quotationsByTenth[tenth] = (quotationsByTenth[tenth] ?? 0) + 1;
    }
  }
  return { recipe, chapters: chapters.length, chaptersWithEvidence, quotationsByTenth };
}

/** Starts of all evidence anywhere in a recipe's value. */
function evidenceStarts(value: unknown): number[] {
  if (Array.isArray(value)) return value.flatMap(evidenceStarts);
  if (typeof value !== "object" || value === null) return [];
  if ("quote" in value && "start" in value && typeof value.start === "number") return [value.start];
  return Object.values(value).flatMap(evidenceStarts);
}

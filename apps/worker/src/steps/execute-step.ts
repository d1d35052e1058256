import type { Model } from "@mythic/llm";
import type { Store } from "@mythic/runs";
import type { ExecuteStep } from "../work-step.ts";
import { finishRun } from "./finish-run.ts";
import { mergeResults } from "./merge-results.ts";
import { parseBook } from "./parse-book.ts";
import { processChapter } from "./process-chapter.ts";

export interface StepParts {
  readonly store: Store;
  /** Null when no model is configured here. */
  readonly model: Model | null;
}

/** The code of every kind of step. */
export function executeStep(parts: StepParts): ExecuteStep {
  return (context) => {
    switch (context.step.kind) {
      case "parse":
        return parseBook(parts, context);
      case "chapter":
        return processChapter(parts, context);
      case "merge":
        return mergeResults(parts, context);
      case "finish":
        return finishRun(parts, context);
    }
  };
}

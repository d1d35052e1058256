import type { Ask, BookFacts, ChapterText, Question } from "../src/recipe.ts";

/** One answer, or how to make it from the question. */
export type Script = unknown | ((question: Question<unknown>) => unknown);

export interface ScriptedAsk {
  readonly ask: Ask;
  /** In the order they were asked. */
  readonly questions: Question<unknown>[];
}

/** Answers in the order given, parsed by the question's own schema as a real model's answers are; fails when asked more often. */
export function scriptedAsk(...scripts: readonly Script[]): ScriptedAsk {
  const questions: Question<unknown>[] = [];
  const ask: Ask = <Value>(question: Question<Value>): Promise<Value> => {
    const script = scripts[questions.length];
    questions.push(question);
    if (script === undefined) {
      return Promise.reject(new Error(`asked once too often: ${question.prompt}`));
    }
    return Promise.resolve(question.schema.parse(typeof script === "function" ? script(question) : script));
  };
  return { ask, questions };
}

/** Answers every question by the same function. */
export function answeringAsk(answer: (question: Question<unknown>) => unknown): ScriptedAsk {
  const questions: Question<unknown>[] = [];
  const ask: Ask = <Value>(question: Question<Value>): Promise<Value> => {
    questions.push(question);
    return Promise.resolve(question.schema.parse(answer(question)));
  };
  return { ask, questions };
}

export const BOOK: BookFacts = { title: "The Ferry", authors: ["Ada Brook"], language: "en" };

export function chapterOf(text: string, facts: Partial<ChapterText> = {}): ChapterText {
  return { id: "c0001", index: 0, title: "The river", path: ["Part one", "The river"], text, ...facts };
}

/** Sentences that are all different, as one paragraph. */
export function prose(sentences: number, seed = 0): string {
  return Array.from(
    { length: sentences },
    (_, index) =>
      `On day ${seed + index} the ferryman counted ${seed + index * 3} grey herons beside the landing stage.`,
  ).join(" ");
}

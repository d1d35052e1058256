import type { Forecast } from "../recipe.ts";
import { LIMITS } from "./limits.ts";

/**
 * Sizes of a typical exchange, in tokens. Rough by nature: a token is taken as 4 characters, which holds for English within a fifth
 * or so and is too low for other scripts. The upper ends take a token per UTF-16 code unit, as Chinese or Thai may cost, and full
 * answers to every question and its repair, so they are bounds rather than expectations.
 */
const CHARACTERS_PER_TOKEN = 4;
/** Instructions, schema and facts around the data. */
const FRAME = { expected: 700, most: 1_500 } as const;
const ANSWER = { chapter: 700, merge: 600, whole: 1_100 } as const;
/** What a child brings into a merge: prose and statements. The most follows from the limits of length. */
const CHILD = {
  expected: 450,
  most: LIMITS.merge.paragraphLength + LIMITS.merge.keyPoints * (LIMITS.statementLength + 10) + 310,
} as const;

const NOTHING: Forecast = {
  calls: 0,
  inputTokens: 0,
  outputTokens: 0,
  maxInputTokens: 0,
  maxOutputTokens: 0,
};

/** Questions for a chapter of `length` UTF-16 code units. */
export function forecastChapter(length: number): Forecast {
  if (length <= 0) {
    return NOTHING;
  }
  const parts = Math.ceil(length / LIMITS.partLength);
  // Two neighbouring parts are together longer than the limit, or one would have been enough.
  const mostParts = parts === 1 ? 1 : 2 * parts;
  const merge = forecastLevels(parts, false);
  const mostMerge = forecastLevels(mostParts, false);
  const answers = LIMITS.chapter.maxOutputTokens;
  return {
    calls: parts + merge.calls,
    inputTokens: parts * FRAME.expected + Math.ceil(length / CHARACTERS_PER_TOKEN) + merge.inputTokens,
    outputTokens: parts * ANSWER.chapter + merge.outputTokens,
    maxInputTokens: 2 * (mostParts * FRAME.most + length) + mostParts * answers + mostMerge.maxInputTokens,
    maxOutputTokens: 2 * mostParts * answers + mostMerge.maxOutputTokens,
  };
}

/** Questions for a merge of so many children. As it is not known here whether it is the last, the most allows for an overview. */
export function forecastMerge(children: number): Forecast {
  return forecastLevels(children, true);
}

function forecastLevels(children: number, mayBeWhole: boolean): Forecast {
  if (children <= 1) {
    return NOTHING;
  }
  if (children <= LIMITS.fanIn) {
    const answers = mayBeWhole ? LIMITS.whole.maxOutputTokens : LIMITS.merge.maxOutputTokens;
    return {
      calls: 1,
      inputTokens: FRAME.expected + children * CHILD.expected,
      outputTokens: mayBeWhole ? ANSWER.whole : ANSWER.merge,
      maxInputTokens: 2 * (FRAME.most + children * CHILD.most) + answers,
      maxOutputTokens: 2 * answers,
    };
  }
  const groups = Math.ceil(children / LIMITS.fanIn);
  const below = forecastLevels(Math.ceil(children / groups), false);
  const above = forecastLevels(groups, mayBeWhole);
  return {
    calls: groups * below.calls + above.calls,
    inputTokens: groups * below.inputTokens + above.inputTokens,
    outputTokens: groups * below.outputTokens + above.outputTokens,
    maxInputTokens: groups * below.maxInputTokens + above.maxInputTokens,
    maxOutputTokens: groups * below.maxOutputTokens + above.maxOutputTokens,
  };
}

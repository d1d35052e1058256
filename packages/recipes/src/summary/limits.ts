/**
 * Sizes of the summary recipe, in UTF-16 code units where not said otherwise. They are part of the recipe's version: changing one
 * changes what is asked or accepted.
 */
export const LIMITS = {
  /** Text per question: about 6,000 tokens of a Latin script, which models of every size read well. */
  partLength: 24_000,
  /** Values joined by one question. */
  fanIn: 12,
  /** A shorter text is not worth a question, and can hardly be quoted: a dedication, a half title. */
  minWords: 8,
  statementLength: 400,
  /** Evidence is to be looked at, not to be read on: some 100 words. */
  quoteLength: 600,
  chapter: { paragraphLength: 2_000, keyPoints: 8, maxOutputTokens: 4_000 },
  merge: { paragraphLength: 2_800, keyPoints: 10, maxOutputTokens: 4_000 },
  whole: { paragraphLength: 6_000, keyPoints: 15, maxOutputTokens: 6_000 },
} as const;

import { z } from "zod";
import { RecipeError } from "../recipe-error.ts";

/** A place in the book that shows a statement: see `Evidence` of the contract. */
const evidenceSchema = z.strictObject({
  chapterId: z.string().min(1),
  start: z.int().min(0),
  end: z.int().min(0),
  quote: z.string().min(1),
});

const keyPointSchema = z.strictObject({ statement: z.string().min(1), evidence: evidenceSchema });
const passageSchema = z.strictObject({ evidence: evidenceSchema });

/** Of the chapters below a merge, how many exist and how many the chosen points or passages come from. */
const coverageSchema = z.strictObject({ chapters: z.int().min(0), represented: z.int().min(0) });

const chapterSummarySchema = z.strictObject({
  kind: z.literal("chapter"),
  method: z.literal("model"),
  /** Empty for a chapter without text. */
  paragraph: z.string(),
  keyPoints: z.array(keyPointSchema),
  /** Statements left out because their quotation was not found in the chapter. */
  droppedPoints: z.int().min(0),
  /** Pieces that the text was cut into for the model; 0 when nothing was asked. */
  parts: z.int().min(0),
  /** What a reader should know about this value, or null. */
  note: z.string().nullable(),
});

const mergedSummarySchema = z.strictObject({
  kind: z.literal("merge"),
  method: z.literal("model"),
  /** One or more paragraphs, apart by an empty line. */
  paragraph: z.string(),
  keyPoints: z.array(keyPointSchema),
  /** Choices left out because they named no key point. Those of the chapters are counted there. */
  droppedPoints: z.int().min(0),
  coverage: coverageSchema,
  note: z.string().nullable(),
});

const chapterPassagesSchema = z.strictObject({
  kind: z.literal("chapter"),
  method: z.literal("offline"),
  passages: z.array(passageSchema),
  note: z.string().nullable(),
});

const mergedPassagesSchema = z.strictObject({
  kind: z.literal("merge"),
  method: z.literal("offline"),
  passages: z.array(passageSchema),
  coverage: coverageSchema,
  note: z.string().nullable(),
});

const summarySchema = z.discriminatedUnion("kind", [chapterSummarySchema, mergedSummarySchema]);
const passagesSchema = z.discriminatedUnion("kind", [chapterPassagesSchema, mergedPassagesSchema]);

export type KeyPoint = z.infer<typeof keyPointSchema>;
export type Passage = z.infer<typeof passageSchema>;
export type Coverage = z.infer<typeof coverageSchema>;
export type ChapterSummary = z.infer<typeof chapterSummarySchema>;
export type MergedSummary = z.infer<typeof mergedSummarySchema>;
export type ChapterPassages = z.infer<typeof chapterPassagesSchema>;
export type MergedPassages = z.infer<typeof mergedPassagesSchema>;
export type Summary = z.infer<typeof summarySchema>;
export type Passages = z.infer<typeof passagesSchema>;

export const EMPTY_NOTE = "There is no text to work on.";

/** A stored value of the model's method. `place` names it in the error. */
export function readSummary(value: unknown, place: string): Summary {
  return readValue(summarySchema, value, place);
}

/** A stored value of the offline method. */
export function readPassages(value: unknown, place: string): Passages {
  return readValue(passagesSchema, value, place);
}

/** How many chapters stand below these values, and how many of them the chosen points or passages come from. */
export function measureCoverage(
  below: readonly (Summary | Passages)[],
  chosen: readonly { readonly evidence: { readonly chapterId: string } }[],
): Coverage {
  const chapters = below.reduce(
    (sum, value) => sum + (value.kind === "merge" ? value.coverage.chapters : 1),
    0,
  );
  return { chapters, represented: new Set(chosen.map(({ evidence }) => evidence.chapterId)).size };
}

function readValue<Value>(schema: z.ZodType<Value>, value: unknown, place: string): Value {
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const where = parsed.error.issues[0]?.path.join(".") ?? "";
    throw new RecipeError(
      "unknown_value",
      `The stored value of ${place} has an unknown shape${where && ` at ${where}`}.`,
      {
        cause: parsed.error,
      },
    );
  }
  return parsed.data;
}

import { z } from "zod";

/** What the model answers about a chapter. Lengths are checked after parsing: the strict subset cannot say them. */
export const chapterAnswerSchema = z.strictObject({
  paragraph: z.string().describe("The summary: one paragraph of plain prose."),
  keyPoints: z
    .array(
      z.strictObject({
        statement: z.string().describe("One thing a reader must remember, as a full sentence."),
        quote: z.string().describe("The words of the book that show it, copied character by character."),
      }),
    )
    .describe("In the order of the text."),
});

/** What the model answers about several summaries. */
export const mergeAnswerSchema = z.strictObject({
  paragraph: z.string().describe("The joint summary: plain prose, paragraphs apart by an empty line."),
  keyPoints: z.array(z.string()).describe("The ids of the chosen key points, such as 2.3, in reading order."),
});

export type ChapterAnswer = z.infer<typeof chapterAnswerSchema>;
export type MergeAnswer = z.infer<typeof mergeAnswerSchema>;

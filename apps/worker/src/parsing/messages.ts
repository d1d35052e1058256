import type { Chapter, Failure } from "@mythic/runs";

/** What the parsing process tells, in this order: the chapters, then how it ended. */
export type ParsingMessage =
  | { readonly type: "chapter"; readonly chapter: Chapter }
  | {
      readonly type: "parsed";
      readonly title: string | null;
      readonly authors: readonly string[];
      readonly language: string | null;
      readonly warnings: readonly string[];
    }
  | { readonly type: "refused"; readonly error: Failure };

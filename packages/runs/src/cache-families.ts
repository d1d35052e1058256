import { defineFamily } from "@mythic/shared/cache";
import { z } from "zod";
import {
  bookPageViewSchema,
  keyViewSchema,
  resultViewSchema,
  runViewSchema,
  wholeBookViewSchema,
} from "./cache/views.ts";
import type { ChapterPage } from "./read-result.ts";
import type { Run } from "./run.ts";
import type { PageRequest } from "./store.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** What is shown of books and results may be shown a while longer when the store does not answer; where a run stands may not. */
const GRACE = { graceMs: HOUR, softTimeoutMs: SECOND } as const;
/** Clients poll as rarely as every five seconds, as the API tells them. */
const LINGER_MS = 5 * SECOND;
/**
 * A client that polls many runs makes their misses at once: what is read anew together expires together, so without jitter, and takes along what would
 * expire soon after.
 */
const TOGETHER = { jitter: 0, refreshAlongMs: 6 * SECOND } as const;
/** Results of long books; what is larger is read from the store each time. */
const RESULT_BYTES = 4 * 1_048_576;

/** Of all of a user's lists of books. Tags of users begin with `user:<id>:`, so that an operator can name them. */
export function booksTag(user: string): string {
  return `user:${user}:books`;
}

/** Of whatever was made of a book. */
export function bookTag(user: string, bookId: string): string {
  return `user:${user}:book:${bookId}`;
}

/** A result of one revision of a run: a retry makes another one. */
export type ResultOf = Pick<Run, "id" | "bookId" | "revision">;

export interface FamilySettings {
  readonly answersTtlMs: number;
  /** How long an answer that Redis does not hold is kept. As other values unless told. */
  readonly answersAloneTtlMs?: number;
}

/**
 * Everything that is cached, in one place: docs/caching.md has this table with what invalidates each, and a test sees to it that
 * the two agree. The answers' TTL is what REDIS_CACHE_TTL says.
 */
export function cacheFamilies({ answersTtlMs, answersAloneTtlMs }: FamilySettings) {
  return {
    runStatus: defineFamily({
      name: "run-status",
      scope: "user",
      version: 1,
      ttlMs: 30 * SECOND,
      lingerMs: LINGER_MS,
      ...TOGETHER,
      hard: true,
      schema: runViewSchema,
      key: (runId: string) => runId,
      revision: (run) => run.revision,
    }),
    bookList: defineFamily({
      name: "book-list",
      scope: "user",
      version: 1,
      ttlMs: 30 * MINUTE,
      ...GRACE,
      schema: bookPageViewSchema,
      key: ({ limit, after }: PageRequest) => [limit, after ?? ""],
      tags: (user) => [booksTag(user)],
    }),
    book: defineFamily({
      name: "book",
      scope: "user",
      version: 1,
      ttlMs: HOUR,
      ...GRACE,
      schema: wholeBookViewSchema,
      key: (bookId: string) => bookId,
    }),
    result: defineFamily({
      name: "result",
      scope: "user",
      version: 1,
      ttlMs: HOUR,
      ...GRACE,
      maxBytes: RESULT_BYTES,
      schema: resultViewSchema,
      key: ({ id, revision }: ResultOf, recipe: string, { after, limit }: ChapterPage) => [
        id,
        revision,
        recipe,
        after ?? -1,
        limit,
      ],
      tags: (user, { bookId }) => [bookTag(user, bookId)],
    }),
    apiKey: defineFamily({
      name: "api-key",
      scope: "shared",
      version: 1,
      ttlMs: 30 * SECOND,
      lingerMs: LINGER_MS,
      hard: true,
      schema: keyViewSchema,
      key: (sha256: string) => sha256,
    }),
    answers: defineFamily({
      name: "answers",
      scope: "user",
      version: 1,
      ttlMs: answersTtlMs,
      ...(answersAloneTtlMs === undefined ? {} : { aloneTtlMs: answersAloneTtlMs }),
      hard: true,
      // Whoever keeps them reads them: they may be encrypted, or of another version.
      schema: z.record(z.string(), z.unknown()),
      // The "user" of an answer is its scope: `user:<id>`, or `book:<digest>` for a book that is shared on purpose.
      key: (keyId: string) => keyId,
    }),
  };
}

export type CacheFamilies = ReturnType<typeof cacheFamilies>;

/** As keys, the log and operators have them. */
export const FAMILY_NAMES: readonly string[] = Object.values(cacheFamilies({ answersTtlMs: HOUR })).map(
  ({ name }) => name,
);

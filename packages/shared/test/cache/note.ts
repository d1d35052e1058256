import type { Cache, CacheFamily, FamilyOptions, Schema } from "@mythic/shared/cache";
import { defineFamily } from "@mythic/shared/cache";

/** What most tests cache. */
export interface Note {
  readonly text: string;
  readonly revision?: number;
}

const noteSchema: Schema<Note> = {
  safeParse: (value) =>
    typeof value === "object" && value !== null && "text" in value && typeof value.text === "string"
      ? { success: true, data: value as Note }
      : { success: false },
};

/** Takes whatever it is given. */
export function anySchema<Value>(): Schema<Value> {
  return { safeParse: (value) => ({ success: true, data: value as Value }) };
}

export type NoteOptions = Omit<
  Partial<FamilyOptions<"user", readonly [id: string], Note>>,
  "scope" | "key" | "schema"
>;

/** Notes of users, found by an id. A minute without jitter, unless told. */
export function noteFamily(options: NoteOptions = {}) {
  return defineFamily({
    name: "notes",
    version: 1,
    ttlMs: 60_000,
    jitter: 0,
    ...options,
    scope: "user",
    schema: noteSchema,
    key: (id: string) => id,
  });
}

type NoteFamily = CacheFamily<"user", readonly [id: string], Note>;
export type NoteCache = Cache<{ readonly notes: NoteFamily }>;

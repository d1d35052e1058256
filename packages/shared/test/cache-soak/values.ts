import { defineFamily, type Schema } from "@mythic/shared/cache";

/** What the source holds of a value: a number that grows with each change. */
export interface Edition {
  readonly edition: number;
}

const schema: Schema<Edition> = {
  safeParse: (data) => ({ success: true, data: data as Edition }),
};

export const NAMESPACE = "soak";
export const GRACE_MS = 400;
const TTL_MS = 3_000;

/** Three kinds of family: plain, with grace, and written through by revision. */
export function makeFamilies() {
  const common = { scope: "user", version: 1, ttlMs: TTL_MS, key: (id: number) => id, schema } as const;
  const tags = (_user: string, id: number) => [groupOf(id)];
  return {
    plain: defineFamily({ ...common, name: "plain", tags }),
    graceful: defineFamily({
      ...common,
      name: "graceful",
      tags,
      ttlMs: TTL_MS / 2,
      graceMs: GRACE_MS,
      softTimeoutMs: 100,
      earlyRefresh: true,
      refreshAlongMs: TTL_MS / 8,
    }),
    revised: defineFamily({ ...common, name: "revised", revision: ({ edition }: Edition) => edition }),
  };
}

export type FamilyName = keyof ReturnType<typeof makeFamilies>;

/** Those that are changed by invalidating them; the third is changed by storing what is new. */
export const INVALIDATED = ["plain", "graceful"] as const satisfies readonly FamilyName[];
export const FAMILIES = [...INVALIDATED, "revised"] as const;
export const USERS = ["ann", "bob"] as const;
export const IDS = [0, 1, 2, 3, 4, 5] as const;
export const GROUPS = ["even", "odd"] as const;

function groupOf(id: number): string {
  return GROUPS[id % GROUPS.length] as string;
}

/** A value, by what the source and the history call it. */
export interface Place {
  readonly family: FamilyName;
  readonly user: string;
  readonly id: number;
}

export function nameOf({ family, user, id }: Place): string {
  return `${family}/${user}/${id}`;
}

/** The values of a family, or those of one user of it, or those with one tag. */
export function placesOf(family: FamilyName, user?: string, group?: string): readonly Place[] {
  return USERS.filter((one) => user === undefined || one === user).flatMap((one) =>
    IDS.filter((id) => group === undefined || groupOf(id) === group).map((id) => ({ family, user: one, id })),
  );
}

/** How long after it was loaded a value is somewhere, at most, when those who should have removed it are dead. */
export const LIFE_MS = TTL_MS + GRACE_MS + 1_000;

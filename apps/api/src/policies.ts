import { z } from "zod";

export type PolicyName = "reads" | "writes" | "uploads" | "runs" | "completions" | "logins";

/** So much in a period. */
export interface Policy {
  readonly limit: number;
  readonly periodMs: number;
}

/** Null: not limited. */
export type Policies = Readonly<Record<PolicyName, Policy | null>>;

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** What RATE_LIMITS may override. All of a user; `logins` are wrong keys of an address. */
export const POLICIES: Policies = {
  reads: { limit: 1_200, periodMs: MINUTE },
  writes: { limit: 120, periodMs: MINUTE },
  uploads: { limit: 60, periodMs: HOUR },
  runs: { limit: 120, periodMs: HOUR },
  completions: { limit: 600, periodMs: MINUTE },
  logins: { limit: 10, periodMs: MINUTE },
};

export const NO_POLICIES: Policies = {
  reads: null,
  writes: null,
  uploads: null,
  runs: null,
  completions: null,
  logins: null,
};

const UNITS: Readonly<Record<string, number>> = { s: SECOND, min: MINUTE, h: HOUR, d: 24 * HOUR };
const MOST = 1_000_000_000;

const policySchema = z.union([
  z.literal("off").transform(() => null),
  z.string().transform((text, context): Policy => {
    const [, limit = "", unit = ""] = /^([1-9]\d*)\/(s|min|h|d)$/.exec(text) ?? [];
    const periodMs = UNITS[unit];
    if (periodMs !== undefined && Number(limit) <= MOST) return { limit: Number(limit), periodMs };
    context.issues.push({ code: "custom", message: "", input: text });
    return z.NEVER;
  }),
]);

const tableSchema = z.strictObject({
  reads: policySchema.default(POLICIES.reads),
  writes: policySchema.default(POLICIES.writes),
  uploads: policySchema.default(POLICIES.uploads),
  runs: policySchema.default(POLICIES.runs),
  completions: policySchema.default(POLICIES.completions),
  logins: policySchema.default(POLICIES.logins),
});

const FORM = 'must be "off" or JSON such as {"reads":"2400/min","uploads":"off"}; units are s, min, h and d';

/** Reads `RATE_LIMITS`. */
export const policiesSchema = z.string().transform((text, context): Policies => {
  if (text === "off") return NO_POLICIES;
  const policies = tableSchema.safeParse(jsonOf(text));
  if (policies.success) return policies.data;
  context.issues.push({ code: "custom", message: FORM, input: text });
  return z.NEVER;
});

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

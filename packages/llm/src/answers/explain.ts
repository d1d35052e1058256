import type { AnswerKey, FieldDigests, Uncacheable } from "../request/request-key.ts";
import type { AnswerPolicy } from "./policy.ts";
import { NOT_STORED, type NotStored } from "./storing-rules.ts";

/** What is remembered of an answer, kept or not, for explanations: no text, and nothing that leads back to one. */
export interface AnswerTrace {
  /** Of its key. */
  readonly id: string;
  readonly canonicalFields: FieldDigests;
  readonly answeredAt: Date;
  /** Until when it is kept. Absent where it was not. */
  readonly expiresAt?: Date;
  readonly notStored?: NotStored;
}

type MissCause =
  /** There is no miss: it would be a hit. */
  | "none"
  | "uncacheable"
  | "mode"
  | "variants"
  | "too_old"
  | "expired"
  | "not_stored"
  | "key_version"
  | "different"
  | "nothing_like_it";

/** How a field of a request differs from that of the nearest past one. */
interface Difference {
  readonly field: string;
  readonly how: "changed" | "added" | "removed";
}

export interface Explanation {
  readonly cause: MissCause;
  /** For people. */
  readonly sentence: string;
  readonly differences: readonly Difference[];
  /** Id of the past answer that this is about. */
  readonly about: string | null;
}

export interface MissedRequest {
  readonly key: AnswerKey | Uncacheable;
  readonly policy: AnswerPolicy;
  /** Of the same scope, in any order. */
  readonly past: readonly AnswerTrace[];
  readonly now: Date;
}

/** Says why a request was not, or would not be, answered by an answer that is kept. */
export function explainMiss(missed: MissedRequest): Explanation {
  const { key, policy, past } = missed;
  if (!("id" in key)) return explained("uncacheable", `The request has no key: ${key.field} ${key.reason}.`);
  if (policy.mode === "bypass" || policy.mode === "refresh") {
    return explained("mode", `The call did not look: its mode is ${policy.mode}.`);
  }
  const same = past.filter(({ id }) => id === key.id).sort((a, b) => ageOrder(a, b));
  return explainSame(missed, same) ?? explainNearest(key, past);
}

/** Why none of the answers to the very same request will do. Null when there are none. */
function explainSame({ policy, now }: MissedRequest, same: readonly AnswerTrace[]): Explanation | null {
  const [latest] = same;
  if (latest === undefined) return null;
  const about = latest.id;
  const kept = same.filter(({ expiresAt }) => expiresAt !== undefined && expiresAt > now);
  const wanted = policy.variants ?? 1;
  const young = kept.filter(({ answeredAt }) => isYoung(answeredAt, policy, now));
  if (young.length >= wanted) return explained("none", "An answer is there that will do.", about);
  if (young.length > 0) {
    const sentence = `The call wants ${wanted} different answers to choose from, and ${young.length} is kept.`;
    return explained("variants", sentence, about);
  }
  const [keptLast] = kept;
  if (keptLast !== undefined) {
    const age = seconds(now.getTime() - keptLast.answeredAt.getTime());
    const most = seconds(policy.maxAgeMs ?? 0);
    return explained(
      "too_old",
      `The answer is ${age} old, and the call takes none older than ${most}.`,
      about,
    );
  }
  if (latest.notStored !== undefined) {
    const sentence = `The last answer was not kept: ${NOT_STORED[latest.notStored]}.`;
    return explained("not_stored", sentence, about);
  }
  const since = latest.expiresAt === undefined ? "" : ` since ${latest.expiresAt.toISOString()}`;
  return explained("expired", `The answer is not kept any more${since}.`, about);
}

function explainNearest(key: AnswerKey, past: readonly AnswerTrace[]): Explanation {
  const [nearest] = past
    .map((answer) => ({ answer, differences: differencesOf(key.canonicalFields, answer.canonicalFields) }))
    .sort((a, b) => a.differences.length - b.differences.length || ageOrder(a.answer, b.answer));
  if (nearest === undefined) {
    return explained("nothing_like_it", "No answer was kept or refused before.");
  }
  const { answer, differences } = nearest;
  if (differences.length === 0) {
    return explained("key_version", "The answer was kept by a version with another form of keys.", answer.id);
  }
  const isOther = Object.keys(key.canonicalFields).every((field) =>
    differences.some((difference) => difference.field === field && difference.how !== "removed"),
  );
  if (isOther) return explained("nothing_like_it", "No answer to a request like this was kept or refused.");
  const list = differences.map(({ field, how }) => `${field} (${how})`).join(", ");
  const sentence = `The nearest request before it differs in ${list}.`;
  return { ...explained("different", sentence, answer.id), differences };
}

function differencesOf(nowFields: FieldDigests, thenFields: FieldDigests): readonly Difference[] {
  const now = new Map(Object.entries(nowFields));
  const then = new Map(Object.entries(thenFields));
  return [...new Set([...now.keys(), ...then.keys()])]
    .filter((field) => now.get(field) !== then.get(field))
    .sort()
    .map((field) => {
      if (!then.has(field)) return { field, how: "added" };
      return { field, how: now.has(field) ? "changed" : "removed" };
    });
}

function explained(cause: MissCause, sentence: string, about: string | null = null): Explanation {
  return { cause, sentence, differences: [], about };
}

function isYoung(answeredAt: Date, { maxAgeMs }: AnswerPolicy, now: Date): boolean {
  return maxAgeMs === undefined || now.getTime() - answeredAt.getTime() <= maxAgeMs;
}

/** The latest first. */
function ageOrder(a: AnswerTrace, b: AnswerTrace): number {
  return b.answeredAt.getTime() - a.answeredAt.getTime();
}

function seconds(milliseconds: number): string {
  return `${Math.round(milliseconds / 1000)} s`;
}

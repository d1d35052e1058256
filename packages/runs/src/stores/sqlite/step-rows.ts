import type { Step, StepKind, StepState } from "../../step.ts";
import { date, dateOrNull, fromJson, fromJsonOrNull } from "./columns.ts";

/** A row of `steps`. */
export interface StepRow {
  readonly id: string;
  readonly user: string;
  readonly book_id: string;
  readonly run_id: string | null;
  readonly kind: StepKind;
  readonly recipe: string | null;
  readonly unit: string;
  readonly title: string;
  readonly inputs: string;
  readonly state: StepState;
  readonly fence: number;
  readonly owner: string | null;
  readonly lease_until: number | null;
  readonly attempts: number;
  readonly crashes: number;
  readonly handbacks: number;
  readonly not_before: number;
  readonly dispatches: number;
  readonly dispatched_at: number | null;
  readonly error: string | null;
  readonly postponed: string | null;
  readonly result_id: string | null;
  readonly reused_answers: number;
  readonly created_at: number;
  readonly started_at: number | null;
  readonly ended_at: number | null;
}

export function stepOf(row: StepRow): Step {
  return {
    id: row.id,
    user: row.user,
    bookId: row.book_id,
    runId: row.run_id,
    kind: row.kind,
    recipe: row.recipe,
    unit: row.unit,
    title: row.title,
    inputs: fromJson(row.inputs),
    state: row.state,
    fence: row.fence,
    owner: row.owner,
    leaseUntil: dateOrNull(row.lease_until),
    attempts: row.attempts,
    crashes: row.crashes,
    handbacks: row.handbacks,
    notBefore: date(row.not_before),
    dispatches: row.dispatches,
    dispatchedAt: dateOrNull(row.dispatched_at),
    error: fromJsonOrNull(row.error),
    postponed: fromJsonOrNull(row.postponed),
    resultId: row.result_id,
    reusedAnswers: row.reused_answers,
    createdAt: date(row.created_at),
    startedAt: dateOrNull(row.started_at),
    endedAt: dateOrNull(row.ended_at),
  };
}

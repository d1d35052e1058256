import { setImmediate as nextTurn } from "node:timers/promises";
import type { Failure } from "../../book.ts";
import type { NewStep, Step } from "../../step.ts";
import type { StepOutcome, StepResult, StepStore } from "../../store.ts";
import { fromJson, toJson } from "./columns.ts";
import type { Database, Statements, Values } from "./database.ts";
import { type StepRow, stepOf } from "./step-rows.ts";

/** Who writes must still hold the fence; nobody holds one of a step that is not running. */
const HELD = "id = $id AND fence = $fence AND state = 'running'";
/** Dispatched is forgotten, so that a step which comes back is due again at once. */
const RELEASED = "owner = NULL, lease_until = NULL, dispatched_at = NULL";
/** Results read in one go, so that a large merge does not hold the event loop. */
const RESULTS_AT_ONCE = 50;
/** Steps inserted in one transaction, about 6 ms. An insert that was cut short can be repeated. */
const INSERTS_AT_ONCE = 500;

export class SqliteSteps implements StepStore {
  readonly #database: Database;
  readonly #now: () => number;

  constructor(database: Database, now: () => number) {
    this.#database = database;
    this.#now = now;
  }

  async insert(user: string, steps: readonly NewStep[]): Promise<number> {
    const now = this.#now();
    let inserted = 0;
    for (let at = 0; at < steps.length; at += INSERTS_AT_ONCE) {
      if (at > 0) await nextTurn();
      inserted += await this.#insertSome(user, steps.slice(at, at + INSERTS_AT_ONCE), now);
    }
    return inserted;
  }

  async ofRun(user: string, runId: string): Promise<readonly Step[]> {
    const rows = await this.#database.read((statements) =>
      statements.all<StepRow>("SELECT * FROM steps WHERE user = $user AND run_id = $runId ORDER BY id", {
        user,
        runId,
      }),
    );
    return rows.map(stepOf);
  }

  async get(user: string, id: string): Promise<Step | null> {
    const row = await this.#database.read((statements) =>
      statements.get<StepRow>("SELECT * FROM steps WHERE id = $id AND user = $user", { user, id }),
    );
    return row ? stepOf(row) : null;
  }

  async results(user: string, ids: readonly string[]): Promise<readonly StepResult[]> {
    const results: StepResult[] = [];
    for (let at = 0; at < ids.length; at += RESULTS_AT_ONCE) {
      const wanted = toJson(ids.slice(at, at + RESULTS_AT_ONCE));
      const rows = await this.#database.read((statements) =>
        statements.all<{ id: string; step_id: string; run_id: string | null; value: string }>(
          `SELECT results.id, steps.id AS step_id, steps.run_id, results.value
           FROM json_each($wanted) AS wanted
           CROSS JOIN steps ON steps.id = wanted.value CROSS JOIN results ON results.id = steps.result_id
           WHERE steps.user = $user AND steps.state = 'done' ORDER BY wanted.key`,
          { user, wanted },
        ),
      );
      for (const row of rows) {
        results.push({ id: row.id, stepId: row.step_id, runId: row.run_id, value: fromJson(row.value) });
      }
    }
    return results;
  }

  async cancelPending(user: string, runId: string): Promise<number> {
    return await this.#database.run(
      `UPDATE steps SET state = 'cancelled', ended_at = $now, ${RELEASED}
       WHERE user = $user AND run_id = $runId AND state IN ('pending', 'waiting')`,
      { user, runId, now: this.#now() },
    );
  }

  async reset(user: string, ids: readonly string[]): Promise<number> {
    const values = { user, ids: toJson(ids), now: this.#now() };
    const mine = `id IN (SELECT value FROM json_each($ids)) AND user = $user
      AND state IN ('failed', 'dead', 'cancelled', 'done')`;
    return await this.#database.write((statements) => {
      statements.run(`DELETE FROM results WHERE id IN (SELECT result_id FROM steps WHERE ${mine})`, {
        user,
        ids: values.ids,
      });
      // Wake-ups are counted on: their number names a job of the queue, and an old name would be taken for the old job.
      return statements.run(
        `UPDATE steps SET state = 'waiting', ${RELEASED}, attempts = 0, crashes = 0, handbacks = 0, not_before = $now,
           error = NULL, postponed = NULL, result_id = NULL, reused_answers = 0, started_at = NULL, ended_at = NULL
         WHERE ${mine}`,
        values,
      );
    });
  }

  async claim(id: string, owner: string, leaseMs: number): Promise<Step | null> {
    const now = this.#now();
    const row = await this.#database.write((statements) =>
      statements.get<StepRow>(
        `UPDATE steps SET state = 'running', owner = $owner, lease_until = $leaseUntil, fence = fence + 1, started_at = $now,
           postponed = NULL
         WHERE id = $id AND state = 'pending' AND not_before <= $now RETURNING *`,
        { id, owner, now, leaseUntil: now + leaseMs },
      ),
    );
    return row ? stepOf(row) : null;
  }

  async heartbeat(id: string, fence: number, leaseMs: number): Promise<boolean> {
    return await this.#writeHeld("lease_until = $leaseUntil", {
      id,
      fence,
      leaseUntil: this.#now() + leaseMs,
    });
  }

  async complete(id: string, fence: number, outcome: StepOutcome): Promise<boolean> {
    const resultId = `${id}.f${fence}`;
    const value = toJson(outcome.value);
    const { reusedAnswers } = outcome;
    const now = this.#now();
    return await this.#database.write((statements) => {
      const changed = statements.run(
        `UPDATE steps SET state = 'done', owner = NULL, lease_until = NULL, error = NULL, result_id = $resultId,
           reused_answers = $reusedAnswers, ended_at = $now
         WHERE ${HELD}`,
        { id, fence, resultId, reusedAnswers, now },
      );
      if (changed === 0) return isRepeated(statements, resultId, value);
      statements.run("INSERT INTO results (id, step_id, value) VALUES ($resultId, $id, $value)", {
        id,
        resultId,
        value,
      });
      return true;
    });
  }

  async fail(id: string, fence: number, error: Failure, retryAt: Date | null): Promise<boolean> {
    const values = { id, fence, error: toJson(error) };
    if (retryAt === null) {
      return await this.#writeHeld(
        `state = 'failed', attempts = attempts + 1, error = $error, ended_at = $now, ${RELEASED}`,
        { ...values, now: this.#now() },
      );
    }
    return await this.#writeHeld(
      `state = 'pending', attempts = attempts + 1, error = $error, not_before = $retryAt, ${RELEASED}`,
      { ...values, retryAt: retryAt.getTime() },
    );
  }

  async handBack(id: string, fence: number): Promise<boolean> {
    return await this.#writeHeld(`state = 'pending', handbacks = handbacks + 1, ${RELEASED}`, { id, fence });
  }

  async postpone(id: string, fence: number, reason: Failure, until: Date): Promise<boolean> {
    const values = { id, fence, reason: toJson(reason), until: until.getTime() };
    return await this.#writeHeld(
      `state = 'pending', not_before = $until, postponed = $reason, ${RELEASED}`,
      values,
    );
  }

  async hasten(id: string): Promise<void> {
    await this.#database.run(
      `UPDATE steps SET not_before = $now
       WHERE id = $id AND state = 'pending' AND postponed IS NOT NULL AND not_before > $now`,
      { id, now: this.#now() },
    );
  }

  async cancel(id: string, fence: number): Promise<boolean> {
    const values = { id, fence, now: this.#now() };
    return await this.#writeHeld(`state = 'cancelled', ended_at = $now, ${RELEASED}`, values);
  }

  async #insertSome(user: string, steps: readonly NewStep[], now: number): Promise<number> {
    return await this.#database.write((statements) => {
      let inserted = 0;
      for (const step of steps) {
        inserted += statements.run(
          `INSERT INTO steps (id, user, book_id, run_id, kind, recipe, unit, title, inputs, state, fence, attempts, crashes,
             handbacks, not_before, dispatches, reused_answers, created_at)
           VALUES ($id, $user, $bookId, $runId, $kind, $recipe, $unit, $title, $inputs, 'pending', 0, 0, 0, 0, $now, 0, 0, $now)
           ON CONFLICT (id) DO UPDATE SET state = 'pending', not_before = $now WHERE state = 'waiting' AND user = $user`,
          { ...valuesOf(step), user, now },
        );
      }
      return inserted;
    });
  }

  async #writeHeld(settings: string, values: Values): Promise<boolean> {
    return (await this.#database.run(`UPDATE steps SET ${settings} WHERE ${HELD}`, values)) > 0;
  }
}

/** Who did not hear that it was accepted may hand in the same again. */
function isRepeated(statements: Statements, resultId: string, value: string): boolean {
  const same = statements.get(
    `SELECT 1 FROM results JOIN steps ON steps.id = results.step_id
     WHERE results.id = $resultId AND results.value = $value AND steps.state = 'done' AND steps.result_id = $resultId`,
    { resultId, value },
  );
  return same !== undefined;
}

function valuesOf(step: NewStep): Values {
  const { id, bookId, runId, kind, recipe, unit, title } = step;
  return { id, bookId, runId, kind, recipe, unit, title, inputs: toJson(step.inputs) };
}

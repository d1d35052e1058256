import { type Collection, MongoBulkWriteError, type UpdateFilter } from "mongodb";
import { z } from "zod";
import type { Failure } from "../../book.ts";
import type { NewStep, Step, StepState } from "../../step.ts";
import { type StepOutcome, type StepResult, type StepStore, StoreUnavailableError } from "../../store.ts";
import { type Connection, is, isDuplicate } from "./connection.ts";
import { MongoResults } from "./results.ts";
import { fromStored, pieces, type Stored, toStored } from "./stored.ts";

export type StepDocument = Stored<Step>;

/** Steps that one write inserts or one filter names. */
const PIECE = 1_000;

const schema: z.ZodType<Step> = z.object({
  id: z.string(),
  user: z.string(),
  bookId: z.string(),
  runId: z.string().nullable(),
  kind: z.enum(["parse", "chapter", "merge", "finish"]),
  recipe: z.string().nullable(),
  unit: z.string(),
  title: z.string(),
  inputs: z.array(z.string()),
  state: z.enum(["waiting", "pending", "running", "done", "failed", "cancelled", "dead"]),
  fence: z.number(),
  owner: z.string().nullable(),
  leaseUntil: z.date().nullable(),
  attempts: z.number(),
  crashes: z.number(),
  handbacks: z.number(),
  notBefore: z.date(),
  dispatches: z.number(),
  dispatchedAt: z.date().nullable(),
  error: z.object({ code: z.string(), detail: z.string() }).nullable(),
  postponed: z.object({ code: z.string(), detail: z.string() }).nullable().default(null),
  resultId: z.string().nullable(),
  reusedAnswers: z.number(),
  createdAt: z.date(),
  startedAt: z.date().nullable(),
  endedAt: z.date().nullable(),
});

export function stepsIn(connection: Connection): Collection<StepDocument> {
  return connection.db.collection<StepDocument>("steps");
}

export function parseStepDocument(document: StepDocument): Step {
  return schema.parse(fromStored(document));
}

/** Nobody works on a step any more; a wake-up that was sent for it before counts no longer. */
export const RELEASED = { owner: null, leaseUntil: null, dispatchedAt: null } as const;

/**
 * Every write of a worker is one conditional update that names the fence. A result is written first under a name that
 * holds the fence, and counts only once its step names it: whoever lost the fence leaves nothing that anyone reads.
 */
export class MongoSteps implements StepStore {
  readonly #connection: Connection;
  readonly #steps: Collection<StepDocument>;
  readonly #results: MongoResults;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#steps = stepsIn(connection);
    this.#results = new MongoResults(connection);
  }

  async insert(user: string, steps: readonly NewStep[]): Promise<number> {
    const now = this.#connection.now();
    let inserted = 0;
    for (const piece of pieces(steps, PIECE)) {
      const fresh = await this.#insertPiece(piece.map((step) => toStored(freshStep({ ...step, user }, now))));
      inserted += fresh;
      if (fresh < piece.length) inserted += await this.#release(user, piece);
    }
    return inserted;
  }

  async ofRun(user: string, runId: string): Promise<readonly Step[]> {
    const found = await this.#connection.run((options) =>
      this.#steps
        .find({ user: is(user), runId: is(runId) }, { ...options, batchSize: 10_000 })
        .sort({ _id: 1 })
        .toArray(),
    );
    return found.map(parseStepDocument);
  }

  async get(user: string, id: string): Promise<Step | null> {
    const filter = { _id: is(id), user: is(user) };
    const found = await this.#connection.run((options) => this.#steps.findOne(filter, options));
    return found && parseStepDocument(found);
  }

  async results(user: string, ids: readonly string[]): Promise<readonly StepResult[]> {
    const byStep = new Map<string, StepResult>();
    for (const piece of pieces([...new Set(ids)], PIECE)) {
      const done = await this.#connection.run((options) =>
        this.#steps
          .find(
            { _id: { $in: piece }, user: is(user), state: "done" },
            { ...options, projection: { runId: 1, resultId: 1 }, batchSize: PIECE },
          )
          .toArray(),
      );
      for (const result of await this.#results.named(done)) byStep.set(result.stepId, result);
    }
    return ids.flatMap((id) => byStep.get(id) ?? []);
  }

  async cancelPending(user: string, runId: string): Promise<number> {
    const change = { state: "cancelled" as const, endedAt: this.#connection.now() };
    const { modifiedCount } = await this.#connection.run(() =>
      this.#steps.updateMany(
        { user: is(user), runId: is(runId), state: { $in: ["pending", "waiting"] } },
        { $set: change },
      ),
    );
    return modifiedCount;
  }

  async reset(user: string, ids: readonly string[]): Promise<number> {
    const ended: StepState[] = ["failed", "dead", "cancelled", "done"];
    const change = {
      ...RELEASED,
      state: "waiting" as const,
      notBefore: this.#connection.now(),
      ...{ attempts: 0, crashes: 0, handbacks: 0, reusedAnswers: 0 },
      ...{ error: null, postponed: null, resultId: null, startedAt: null, endedAt: null },
    };
    let reset = 0;
    for (const piece of pieces(ids, PIECE)) {
      const filter = { _id: { $in: piece }, user: is(user), state: { $in: ended } };
      const { modifiedCount } = await this.#connection.run(() =>
        this.#steps.updateMany(filter, { $set: change }),
      );
      reset += modifiedCount;
    }
    return reset;
  }

  async claim(id: string, owner: string, leaseMs: number): Promise<Step | null> {
    const now = this.#connection.now();
    const leaseUntil = new Date(now.getTime() + leaseMs);
    const found = await this.#connection.run(() =>
      this.#steps.findOneAndUpdate(
        { _id: is(id), state: "pending", notBefore: { $lte: this.#connection.latest() } },
        {
          $set: { state: "running", owner, leaseUntil, startedAt: now, postponed: null },
          $inc: { fence: 1 },
        },
        { returnDocument: "after" },
      ),
    );
    return found && parseStepDocument(found);
  }

  heartbeat(id: string, fence: number, leaseMs: number): Promise<boolean> {
    return this.#write(id, fence, { $set: { leaseUntil: this.#connection.ago(-leaseMs) } });
  }

  async complete(id: string, fence: number, outcome: StepOutcome): Promise<boolean> {
    const resultId = await this.#results.save(id, fence, outcome.value);
    const completed = await this.#write(id, fence, {
      $set: {
        ...{ state: "done", owner: null, leaseUntil: null, error: null, resultId },
        ...{ reusedAnswers: outcome.reusedAnswers, endedAt: this.#connection.now() },
      },
    });
    if (completed) return true;
    const named = await this.#connection.run((options) =>
      this.#steps.findOne({ _id: is(id), resultId: is(resultId) }, { ...options, projection: { _id: 1 } }),
    );
    // The same outcome once more: the first attempt came through although nobody heard of it.
    if (named) return await this.#results.holds(resultId, outcome.value);
    await this.#results.remove([resultId]);
    return false;
  }

  fail(id: string, fence: number, error: Failure, retryAt: Date | null): Promise<boolean> {
    const next = retryAt
      ? { ...RELEASED, state: "pending" as const, notBefore: retryAt }
      : { ...RELEASED, state: "failed" as const, endedAt: this.#connection.now() };
    return this.#write(id, fence, { $set: { ...next, error }, $inc: { attempts: 1 } });
  }

  handBack(id: string, fence: number): Promise<boolean> {
    return this.#write(id, fence, { $set: { ...RELEASED, state: "pending" }, $inc: { handbacks: 1 } });
  }

  postpone(id: string, fence: number, reason: Failure, until: Date): Promise<boolean> {
    const next = { ...RELEASED, state: "pending" as const, notBefore: until, postponed: reason };
    return this.#write(id, fence, { $set: next });
  }

  async hasten(id: string): Promise<void> {
    const now = this.#connection.now();
    await this.#connection.run(() =>
      this.#steps.updateOne(
        { _id: is(id), state: "pending", postponed: { $ne: null }, notBefore: { $gt: now } },
        { $set: { notBefore: now } },
      ),
    );
  }

  cancel(id: string, fence: number): Promise<boolean> {
    const endedAt = this.#connection.now();
    return this.#write(id, fence, { $set: { ...RELEASED, state: "cancelled", endedAt } });
  }

  /** Changes a step that is still worked on under this fence. */
  async #write(id: string, fence: number, update: UpdateFilter<StepDocument>): Promise<boolean> {
    const { matchedCount } = await this.#connection.run(() =>
      this.#steps.updateOne({ _id: is(id), fence: is(fence), state: "running" }, update),
    );
    return matchedCount === 1;
  }

  /** Makes those of the steps pending that wait. */
  async #release(user: string, steps: readonly NewStep[]): Promise<number> {
    const filter = { _id: { $in: steps.map((step) => step.id) }, user: is(user), state: "waiting" as const };
    const change = { $set: { state: "pending" as const, notBefore: this.#connection.now() } };
    const { modifiedCount } = await this.#connection.run(() => this.#steps.updateMany(filter, change));
    return modifiedCount;
  }

  async #insertPiece(documents: StepDocument[]): Promise<number> {
    try {
      const { insertedCount } = await this.#connection.run(() =>
        this.#steps.insertMany(documents, { ordered: false }),
      );
      return insertedCount;
    } catch (error) {
      if (!(error instanceof MongoBulkWriteError) || !isDuplicate(error)) throw error;
      const failed = [error.writeErrors].flat();
      if (failed.some((one) => one.code !== error.code)) throw error;
      // Those that were new are not known to be safe: the same insert once more will tell.
      if (error.result.getWriteConcernError()) {
        throw new StoreUnavailableError("MongoDB did not confirm new steps.", { cause: error });
      }
      return error.insertedCount;
    }
  }
}

function freshStep(step: NewStep, now: Date): Step {
  return {
    ...step,
    state: "pending",
    fence: 0,
    owner: null,
    leaseUntil: null,
    attempts: 0,
    crashes: 0,
    handbacks: 0,
    notBefore: now,
    dispatches: 0,
    dispatchedAt: null,
    error: null,
    postponed: null,
    resultId: null,
    reusedAnswers: 0,
    createdAt: now,
    startedAt: null,
    endedAt: null,
  };
}

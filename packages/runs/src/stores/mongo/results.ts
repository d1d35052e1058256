import type { Collection } from "mongodb";
import { z } from "zod";
import type { Step } from "../../step.ts";
import type { StepResult } from "../../store.ts";
import { type Connection, is, isDuplicate } from "./connection.ts";
import type { Stored } from "./stored.ts";

const schema = z.object({
  /** `<step>.f<fence>` */
  _id: z.string(),
  stepId: z.string(),
  /** The value as JSON text: BSON knows other types and other names of fields. */
  value: z.string(),
});

export type ResultDocument = z.infer<typeof schema>;

/** What a step must tell of itself to have its result read. */
type DoneStep = Pick<Stored<Step>, "_id" | "runId" | "resultId">;

function resultsIn(connection: Connection): Collection<ResultDocument> {
  return connection.db.collection<ResultDocument>("results");
}

/** The results that a step may have left so far. */
export function resultIdsOf({ _id, fence }: Pick<Stored<Step>, "_id" | "fence">): string[] {
  return Array.from({ length: fence }, (_, at) => resultId(_id, at + 1));
}

export class MongoResults {
  readonly #connection: Connection;
  readonly #results: Collection<ResultDocument>;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#results = resultsIn(connection);
  }

  /** Writes a result that nothing names yet. One that is there already stays as it is. */
  async save(stepId: string, fence: number, value: unknown): Promise<string> {
    const _id = resultId(stepId, fence);
    try {
      await this.#connection.run(() => this.#results.insertOne({ _id, stepId, value: textOf(value) }));
    } catch (error) {
      if (!isDuplicate(error)) throw error;
    }
    return _id;
  }

  /** The results that done steps name. */
  async named(steps: readonly DoneStep[]): Promise<readonly StepResult[]> {
    const byResult = new Map(steps.map((step) => [step.resultId, step]));
    const ids = [...byResult.keys()].filter((id) => id !== null);
    if (ids.length === 0) return [];
    const found = await this.#connection.run((options) =>
      this.#results.find({ _id: { $in: ids } }, options).toArray(),
    );
    return found.map((document) => {
      const { _id, stepId, value } = schema.parse(document);
      return { id: _id, stepId, runId: byResult.get(_id)?.runId ?? null, value: JSON.parse(value) };
    });
  }

  /** True when the result is there and of just this value. */
  async holds(id: string, value: unknown): Promise<boolean> {
    const found = await this.#connection.run((options) => this.#results.findOne({ _id: is(id) }, options));
    return found !== null && schema.parse(found).value === textOf(value);
  }

  async remove(ids: readonly string[]): Promise<void> {
    await this.#connection.run(() => this.#results.deleteMany({ _id: { $in: [...ids] } }));
  }
}

function resultId(stepId: string, fence: number): string {
  return `${stepId}.f${fence}`;
}

function textOf(value: unknown): string {
  return JSON.stringify(value ?? null);
}

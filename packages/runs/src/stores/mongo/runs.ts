import type { Collection, Filter } from "mongodb";
import { z } from "zod";
import type { Run } from "../../run.ts";
import { runSchema } from "../../schemas.ts";
import type { Page, RunChange, RunFilter, RunStore } from "../../store.ts";
import { type Connection, is, isDuplicate } from "./connection.ts";
import { fromStored, pageOf, type Stored, toStored } from "./stored.ts";

export type RunDocument = Stored<Run>;

const schema: z.ZodType<Run> = runSchema(z.date());

export function runsIn(connection: Connection): Collection<RunDocument> {
  return connection.db.collection<RunDocument>("runs");
}

export function parseRun(document: RunDocument): Run {
  return schema.parse(fromStored(document));
}

export class MongoRuns implements RunStore {
  readonly #connection: Connection;
  readonly #runs: Collection<RunDocument>;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#runs = runsIn(connection);
  }

  async create(user: string, run: Run): Promise<void> {
    try {
      await this.#connection.run(() => this.#runs.insertOne(toStored({ ...run, user })));
    } catch (error) {
      // The same run once more: the first attempt came through although nobody heard of it.
      if (!isDuplicate(error) || (await this.get(user, run.id)) === null) throw error;
    }
  }

  async get(user: string, id: string): Promise<Run | null> {
    const filter = { _id: is(id), user: is(user) };
    const found = await this.#connection.run((options) => this.#runs.findOne(filter, options));
    return found && parseRun(found);
  }

  async list(user: string, { limit, after, status, bookId }: RunFilter): Promise<Page<Run>> {
    const filter: Filter<RunDocument> = {
      user: is(user),
      ...(bookId === undefined ? {} : { bookId: is(bookId) }),
      ...(status === undefined ? {} : { status: { $in: [...status] } }),
      ...(after === null ? {} : { _id: { $lt: after } }),
    };
    const found = await this.#connection.run((options) =>
      this.#runs
        .find(filter, options)
        .sort({ _id: -1 })
        .limit(limit + 1)
        .toArray(),
    );
    return pageOf(found.map(parseRun), limit);
  }

  async update(user: string, id: string, revision: number, change: RunChange): Promise<Run | null> {
    const filter = { _id: is(id), user: is(user), revision: is(revision) };
    const update = { $set: change, $inc: { revision: 1 } };
    const found = await this.#connection.run(() =>
      this.#runs.findOneAndUpdate(filter, update, { returnDocument: "after" }),
    );
    return found && parseRun(found);
  }
}

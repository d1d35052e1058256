import type { Filter } from "mongodb";
import { z } from "zod";
import type { Step } from "../../step.ts";
import type { Connection } from "./connection.ts";
import { parseStepDocument, type StepDocument, stepsIn } from "./steps.ts";

export interface DueQuery {
  readonly limit: number;
  /** Steps of one user in the queue or at work at most. */
  readonly perUser: number;
  readonly redispatchMs: number;
  /** Null for those of all books. */
  readonly bookId: string | null;
}

const takenSchema = z.object({ _id: z.string(), steps: z.number() });
const userSchema = z.string();

/**
 * Steps to wake someone for, oldest first, at most a window of each user's. Reads by user, so that someone with a hundred
 * thousand steps costs no more than someone with ten: a user whose window is full is left out of the next read.
 */
export async function findDue(connection: Connection, query: DueQuery): Promise<readonly Step[]> {
  const since = connection.ago(query.redispatchMs);
  const [waiting, taken] = await Promise.all([waitingUsers(connection), takenByUser(connection, since)]);
  const room = new Map(waiting.map((user) => [user, query.perUser - (taken.get(user) ?? 0)]));
  const due: Step[] = [];
  for (let last: Step | null = null; due.length < query.limit; ) {
    const open = [...room].flatMap(([user, left]) => (left > 0 ? [user] : []));
    if (open.length === 0) break;
    const found = await dueOf(connection, {
      users: open,
      since,
      after: last,
      limit: query.limit,
      bookId: query.bookId,
    });
    for (const step of found) {
      const left = room.get(step.user) ?? 0;
      if (left <= 0 || due.length === query.limit) continue;
      room.set(step.user, left - 1);
      due.push(step);
    }
    last = found.at(-1) ?? null;
    if (found.length < query.limit) break;
  }
  return due;
}

async function waitingUsers(connection: Connection): Promise<string[]> {
  const found = await connection.run(() => stepsIn(connection).distinct("user", { state: "pending" }));
  return z.array(userSchema).parse(found);
}

/** How many steps of each user are at work, or were dispatched since and still wait. */
async function takenByUser(connection: Connection, since: Date): Promise<ReadonlyMap<string, number>> {
  const pipeline = [
    { $match: { $or: [{ state: "running" }, { state: "pending", dispatchedAt: { $gte: since } }] } },
    { $group: { _id: "$user", steps: { $sum: 1 } } },
  ];
  const found = await connection.run((options) =>
    stepsIn(connection)
      .aggregate(pipeline, { ...options, batchSize: 10_000 })
      .toArray(),
  );
  return new Map(found.map((row) => takenSchema.parse(row)).map(({ _id, steps }) => [_id, steps]));
}

interface UserQuery {
  readonly users: readonly string[];
  readonly since: Date;
  readonly after: Step | null;
  readonly limit: number;
  readonly bookId: string | null;
}

async function dueOf(
  connection: Connection,
  { users, since, after, limit, bookId }: UserQuery,
): Promise<Step[]> {
  const filter: Filter<StepDocument> = {
    state: "pending",
    user: { $in: users },
    ...(bookId !== null && { bookId: { $eq: bookId } }),
    notBefore: { $lte: connection.now() },
    dispatchedAt: { $not: { $gte: since } },
    ...(after && {
      $or: [{ createdAt: { $gt: after.createdAt } }, { createdAt: after.createdAt, _id: { $gt: after.id } }],
    }),
  };
  const found = await connection.run((options) =>
    stepsIn(connection)
      .find(filter, { ...options, batchSize: limit })
      .sort({ createdAt: 1, _id: 1 })
      .limit(limit)
      .toArray(),
  );
  return found.map(parseStepDocument);
}

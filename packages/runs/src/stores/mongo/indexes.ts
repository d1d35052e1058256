import type { IndexDescription } from "mongodb";
import type { Connection } from "./connection.ts";

/** An index over a large collection takes as long as it takes. */
const BUILD_MS = 30 * 60_000;

const PENDING = { state: "pending" };

/**
 * Every index and the question it answers. One that is changed needs another name, and a migration that drops the old one.
 * All names are given, since those that the server makes up say nothing of the other options.
 */
export const INDEXES: Readonly<Record<string, readonly IndexDescription[]>> = {
  books: [
    // One book of the same bytes per user. Deleted ones have no such key.
    {
      name: "active",
      key: { activeKey: 1 },
      unique: true,
      partialFilterExpression: { activeKey: { $exists: true } },
    },
    { name: "of_user", key: { user: 1, deletedAt: 1, _id: -1 } },
    { name: "to_parse_or_purge", key: { deletedAt: 1, status: 1, _id: 1 } },
  ],
  "files.chunks": [{ name: "of_file", key: { files_id: 1, n: 1 }, unique: true }],
  uploads: [{ name: "by_start", key: { startedAt: 1 } }],
  chapters: [{ name: "of_book", key: { bookId: 1, edition: 1, index: 1, part: 1 } }],
  runs: [
    { name: "of_user", key: { user: 1, _id: -1 } },
    { name: "of_user_and_book", key: { user: 1, bookId: 1, _id: -1 } },
    { name: "of_book", key: { bookId: 1, status: 1 } },
    { name: "live", key: { status: 1, _id: 1 } },
  ],
  steps: [
    { name: "of_run", key: { runId: 1, _id: 1 } },
    { name: "of_book", key: { bookId: 1 } },
    // Those that ended, the most by far, are in none of these. The state is in the key too, as the server would else read
    // the document to see that it is what the filter of the index says.
    {
      name: "due",
      key: { state: 1, user: 1, createdAt: 1, _id: 1, notBefore: 1, dispatchedAt: 1 },
      partialFilterExpression: PENDING,
    },
    { name: "dispatched", key: { state: 1, dispatchedAt: 1, user: 1 }, partialFilterExpression: PENDING },
    { name: "oldest", key: { state: 1, notBefore: 1 }, partialFilterExpression: PENDING },
    {
      name: "leases",
      key: { state: 1, leaseUntil: 1, user: 1 },
      partialFilterExpression: { state: "running" },
    },
  ],
  ledger: [
    { name: "of_run", key: { runId: 1, sentAt: 1, _id: 1 } },
    { name: "by_key", key: { scope: 1, keyId: 1, settledAt: -1 } },
    { name: "of_user", key: { user: 1, day: 1 } },
    { name: "by_day", key: { day: 1 } },
    { name: "on_the_way", key: { sentAt: 1 }, partialFilterExpression: { state: "sent" } },
  ],
  savings: [
    { name: "of_user", key: { user: 1, day: 1 } },
    { name: "by_day", key: { day: 1 } },
  ],
  keys: [{ name: "by_hash", key: { sha256: 1 }, unique: true }],
  replies: [{ name: "by_age", key: { createdAt: 1 } }],
};

/** Makes the indexes that are missing. Any number of processes may do so at once. */
export async function createIndexes(connection: Connection): Promise<void> {
  await Promise.all(
    Object.entries(INDEXES).map(([collection, indexes]) =>
      connection.run(() => connection.db.collection(collection).createIndexes([...indexes]), BUILD_MS),
    ),
  );
}

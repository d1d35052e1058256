import type { Book } from "../../book.ts";
import type { Run } from "../../run.ts";
import type { Step } from "../../step.ts";
import type { DispatchStore } from "../../store.ts";
import { type BookRow, bookOf } from "./book-rows.ts";
import { toJson } from "./columns.ts";
import type { Database } from "./database.ts";
import { Purge } from "./purge.ts";
import { type RunRow, runOf } from "./runs.ts";
import { type StepRow, stepOf } from "./step-rows.ts";

const LIVE = "status IN ('queued', 'running', 'cancelling')";

/**
 * The users who have anything pending, one index look-up each; how much room their windows have; and the oldest that is due of
 * each, no more than a window. So the cost grows with the users who wait, not with what they have waiting.
 */
const DUE = `
WITH RECURSIVE waiting (user) AS (
  SELECT min(user) FROM steps WHERE state = 'pending'
  UNION ALL
  SELECT (SELECT min(user) FROM steps WHERE state = 'pending' AND user > waiting.user) FROM waiting
  WHERE waiting.user IS NOT NULL
), rooms (user, room) AS (
  SELECT user, $perUser
    - (SELECT count(*) FROM steps WHERE state = 'running' AND user = waiting.user)
    - (SELECT count(*) FROM steps WHERE state = 'pending' AND user = waiting.user AND dispatched_at > $since)
  FROM waiting WHERE user IS NOT NULL
), candidates (id, created_at, room, place) AS (
  SELECT steps.id, steps.created_at, room,
    row_number() OVER (PARTITION BY steps.user ORDER BY steps.created_at, steps.id)
  FROM rooms CROSS JOIN steps ON steps.id IN (
    SELECT id FROM steps WHERE state = 'pending' AND user = rooms.user AND not_before <= $now
      AND ($bookId IS NULL OR book_id = $bookId)
      AND (dispatched_at IS NULL OR dispatched_at <= $since)
    ORDER BY created_at, id LIMIT $perUser)
  WHERE room > 0
)
SELECT steps.* FROM (
  SELECT id, created_at FROM candidates WHERE place <= room ORDER BY created_at, id LIMIT $limit
) AS chosen CROSS JOIN steps ON steps.id = chosen.id
ORDER BY chosen.created_at, chosen.id`;

export class SqliteDispatch implements DispatchStore {
  readonly #database: Database;
  readonly #now: () => number;
  readonly #purge: Purge;

  constructor(database: Database, now: () => number) {
    this.#database = database;
    this.#now = now;
    this.#purge = new Purge(database, now);
  }

  async expireLeases(maxCrashes: number): Promise<readonly Step[]> {
    const now = this.#now();
    const lost = "state = 'running' AND lease_until < $now";
    // Mostly there is none, and a look takes no lock.
    const any = await this.#database.read((statements) =>
      statements.get(`SELECT 1 FROM steps WHERE ${lost} LIMIT 1`, { now }),
    );
    if (!any) return [];
    const rows = await this.#database.write((statements) =>
      statements.all<StepRow>(
        `UPDATE steps SET crashes = crashes + 1, owner = NULL, lease_until = NULL, dispatched_at = NULL,
           state = iif(crashes + 1 >= $maxCrashes, 'dead', 'pending'),
           ended_at = iif(crashes + 1 >= $maxCrashes, $now, NULL)
         WHERE ${lost} RETURNING *`,
        { now, maxCrashes },
      ),
    );
    return rows.map(stepOf);
  }

  async due(
    limit: number,
    perUser: number,
    redispatchMs: number,
    bookId: string | null = null,
  ): Promise<readonly Step[]> {
    const now = this.#now();
    const rows = await this.#database.read((statements) =>
      statements.all<StepRow>(DUE, { limit, perUser, now, since: now - redispatchMs, bookId }),
    );
    return rows.map(stepOf);
  }

  async markDispatched(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    // What was claimed meanwhile is counted too: the number must not come again.
    await this.#database.run(
      `UPDATE steps SET dispatches = dispatches + 1, dispatched_at = $now
       WHERE id IN (SELECT value FROM json_each($ids))`,
      { ids: toJson(ids), now: this.#now() },
    );
  }

  async forgetDispatches(): Promise<void> {
    await this.#database.run(
      "UPDATE steps SET dispatched_at = NULL WHERE state = 'pending' AND dispatched_at IS NOT NULL",
      {},
    );
  }

  async backlog(): Promise<{ pending: number; running: number; oldestDueMs: number }> {
    const now = this.#now();
    const row = await this.#database.read((statements) =>
      statements.get<{ pending: number; running: number; oldest: number | null }>(
        `SELECT (SELECT count(*) FROM steps WHERE state = 'pending') AS pending,
           (SELECT count(*) FROM steps WHERE state = 'running') AS running,
           (SELECT min(not_before) FROM steps WHERE state = 'pending' AND not_before <= $now) AS oldest`,
        { now },
      ),
    );
    return {
      pending: row?.pending ?? 0,
      running: row?.running ?? 0,
      oldestDueMs: now - (row?.oldest ?? now),
    };
  }

  async liveRuns(limit: number, after: string | null): Promise<readonly Run[]> {
    const rows = await this.#database.read((statements) =>
      statements.all<RunRow>(`SELECT * FROM runs WHERE ${LIVE} AND id > $after ORDER BY id LIMIT $limit`, {
        limit,
        after: after ?? "",
      }),
    );
    return rows.map(runOf);
  }

  async liveRunsOfBook(bookId: string): Promise<readonly Run[]> {
    const rows = await this.#database.read((statements) =>
      statements.all<RunRow>(`SELECT * FROM runs WHERE book_id = $bookId AND ${LIVE} ORDER BY id`, {
        bookId,
      }),
    );
    return rows.map(runOf);
  }

  async unparsedBooks(limit: number): Promise<readonly Book[]> {
    const rows = await this.#database.read((statements) =>
      statements.all<BookRow>(
        `SELECT * FROM books WHERE deleted_at IS NULL AND status IN ('stored', 'parsing') ORDER BY id LIMIT $limit`,
        { limit },
      ),
    );
    return rows.map(bookOf);
  }

  async purgeDeleted(limit: number): Promise<number> {
    return await this.#purge.deletedBooks(limit);
  }

  async deletedBooks(limit: number): Promise<readonly Book[]> {
    const rows = await this.#database.read((statements) =>
      statements.all<BookRow>(
        `SELECT * FROM books WHERE deleted_at IS NOT NULL
           AND EXISTS (SELECT 1 FROM runs WHERE book_id = books.id AND ${LIVE})
         ORDER BY id LIMIT $limit`,
        { limit },
      ),
    );
    return rows.map(bookOf);
  }

  async collectOrphans(olderThanMs: number): Promise<number> {
    return await this.#purge.orphans(this.#now() - olderThanMs);
  }

  async abandonCalls(olderThanMs: number): Promise<number> {
    const now = this.#now();
    return await this.#database.run(
      "UPDATE ledger SET state = 'unknown', settled_at = $now WHERE state = 'sent' AND sent_at < $olderThan",
      { now, olderThan: now - olderThanMs },
    );
  }

  async expireReplies(olderThanMs: number): Promise<void> {
    await this.#database.run("DELETE FROM replies WHERE created_at < $olderThan", {
      olderThan: this.#now() - olderThanMs,
    });
  }
}

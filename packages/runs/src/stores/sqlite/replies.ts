import type { Reply, ReplyStore } from "../../store.ts";
import { date, fromJson, toJson } from "./columns.ts";
import type { Database } from "./database.ts";

/** A request at work for longer counts as lost, and its key can be taken over. */
const TAKEOVER_AFTER_MS = 60_000;

/** A row of `replies`. */
interface ReplyRow {
  readonly fingerprint: string;
  readonly status: number | null;
  readonly headers: string;
  readonly body: string;
  readonly created_at: number;
}

export class SqliteReplies implements ReplyStore {
  readonly #database: Database;
  readonly #now: () => number;

  constructor(database: Database, now: () => number) {
    this.#database = database;
    this.#now = now;
  }

  async begin(user: string, key: string, fingerprint: string): Promise<Reply | null> {
    const now = this.#now();
    return await this.#database.write((statements) => {
      const taken = statements.run(
        `INSERT INTO replies (user, key, fingerprint, headers, body, created_at)
         VALUES ($user, $key, $fingerprint, '{}', '', $now)
         ON CONFLICT (user, key) DO UPDATE SET fingerprint = $fingerprint, created_at = $now
         WHERE status IS NULL AND created_at < $lostBefore`,
        { user, key, fingerprint, now, lostBefore: now - TAKEOVER_AFTER_MS },
      );
      if (taken > 0) return null;
      const row = statements.get<ReplyRow>("SELECT * FROM replies WHERE user = $user AND key = $key", {
        user,
        key,
      });
      return row ? replyOf(row) : null;
    });
  }

  async finish(user: string, key: string, reply: Pick<Reply, "status" | "headers" | "body">): Promise<void> {
    const { status, body } = reply;
    await this.#database.run(
      `UPDATE replies SET status = $status, headers = $headers, body = $body
       WHERE user = $user AND key = $key AND status IS NULL`,
      { user, key, status, body, headers: toJson(reply.headers) },
    );
  }

  async abandon(user: string, key: string): Promise<void> {
    const mine = "user = $user AND key = $key AND status IS NULL";
    await this.#database.run(`DELETE FROM replies WHERE ${mine}`, { user, key });
  }
}

function replyOf(row: ReplyRow): Reply {
  return {
    fingerprint: row.fingerprint,
    status: row.status,
    headers: fromJson(row.headers),
    body: row.body,
    createdAt: date(row.created_at),
  };
}

import type { Collection } from "mongodb";
import { z } from "zod";
import type { Reply, ReplyStore } from "../../store.ts";
import { type Connection, is, isDuplicate } from "./connection.ts";

/** A request at work for longer was left by its process, and the key is free to take. */
const TAKE_OVER_AFTER_MS = 60_000;
/** Rounds against others who take and leave the same key at the same moment. */
const MAX_ROUNDS = 5;

const schema = z.object({
  _id: z.string(),
  fingerprint: z.string(),
  status: z.number().nullable(),
  /** Pairs, since a header's name may hold what the name of a field must not. */
  headers: z.array(z.tuple([z.string(), z.string()])),
  body: z.string(),
  createdAt: z.date(),
});

export type ReplyDocument = z.infer<typeof schema>;

export function repliesIn(connection: Connection): Collection<ReplyDocument> {
  return connection.db.collection<ReplyDocument>("replies");
}

export class MongoReplies implements ReplyStore {
  readonly #connection: Connection;
  readonly #replies: Collection<ReplyDocument>;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#replies = repliesIn(connection);
  }

  async begin(user: string, key: string, fingerprint: string): Promise<Reply | null> {
    const _id = idOf(user, key);
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const createdAt = this.#connection.now();
      const ours = { fingerprint, status: null, headers: [], body: "", createdAt };
      if (await this.#insert({ _id, ...ours })) return null;
      const left = { _id, status: null, createdAt: { $lt: this.#connection.ago(TAKE_OVER_AFTER_MS) } };
      const { matchedCount } = await this.#connection.run(() =>
        this.#replies.updateOne(left, { $set: ours }),
      );
      if (matchedCount === 1) return null;
      const there = await this.#connection.run((options) => this.#replies.findOne({ _id }, options));
      if (there) return parseReply(there);
    }
    throw new Error("An idempotency key was taken and left again by others too often.");
  }

  /** The first to finish decides: one who was taken over and finishes late changes nothing. */
  async finish(
    user: string,
    key: string,
    { status, headers, body }: Pick<Reply, "status" | "headers" | "body">,
  ): Promise<void> {
    const update = { $set: { status, headers: Object.entries(headers), body } };
    await this.#connection.run(() =>
      this.#replies.updateOne({ _id: is(idOf(user, key)), status: null }, update),
    );
  }

  async abandon(user: string, key: string): Promise<void> {
    await this.#connection.run(() => this.#replies.deleteOne({ _id: is(idOf(user, key)), status: null }));
  }

  async #insert(document: ReplyDocument): Promise<boolean> {
    try {
      await this.#connection.run(() => this.#replies.insertOne(document));
      return true;
    } catch (error) {
      if (isDuplicate(error)) return false;
      throw error;
    }
  }
}

function idOf(user: string, key: string): string {
  return JSON.stringify([user, key]);
}

function parseReply(document: ReplyDocument): Reply {
  const { fingerprint, status, headers, body, createdAt } = schema.parse(document);
  return { fingerprint, status, headers: Object.fromEntries(headers), body, createdAt };
}

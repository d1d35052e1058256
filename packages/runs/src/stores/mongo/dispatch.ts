import type { Collection } from "mongodb";
import { z } from "zod";
import type { Book } from "../../book.ts";
import { LIVE_RUN_STATUSES, type Run } from "../../run.ts";
import type { Step } from "../../step.ts";
import type { DispatchStore } from "../../store.ts";
import { type BookDocument, booksIn, parseBook } from "./books.ts";
import type { Connection } from "./connection.ts";
import { findDue } from "./due-steps.ts";
import { type LedgerDocument, ledgerIn } from "./ledger-rows.ts";
import { MongoPurge } from "./purge.ts";
import { type ReplyDocument, repliesIn } from "./replies.ts";
import { parseRun, type RunDocument, runsIn } from "./runs.ts";
import { parseStepDocument, RELEASED, type StepDocument, stepsIn } from "./steps.ts";
import { pieces } from "./stored.ts";

/** Lost steps taken back in one call, and how many of them at the same time. */
const EXPIRED_AT_ONCE = 500;
const PARALLEL = 8;
const PIECE = 1_000;

const live = { status: { $in: [...LIVE_RUN_STATUSES] } };

const oldestSchema = z.object({ notBefore: z.date() });

export class MongoDispatch implements DispatchStore {
  readonly #connection: Connection;
  readonly #books: Collection<BookDocument>;
  readonly #runs: Collection<RunDocument>;
  readonly #steps: Collection<StepDocument>;
  readonly #ledger: Collection<LedgerDocument>;
  readonly #replies: Collection<ReplyDocument>;
  readonly #purge: MongoPurge;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#books = booksIn(connection);
    this.#runs = runsIn(connection);
    this.#steps = stepsIn(connection);
    this.#ledger = ledgerIn(connection);
    this.#replies = repliesIn(connection);
    this.#purge = new MongoPurge(connection);
  }

  async expireLeases(maxCrashes: number): Promise<readonly Step[]> {
    const now = this.#connection.now();
    const lost = await this.#connection.run((options) =>
      this.#steps
        .find({ state: "running", leaseUntil: { $lt: now } }, options)
        .sort({ leaseUntil: 1 })
        .limit(EXPIRED_AT_ONCE)
        .toArray(),
    );
    const expired: Step[] = [];
    for (const some of pieces(lost, PARALLEL)) {
      const taken = await Promise.all(some.map((step) => this.#takeBack(step, maxCrashes, now)));
      expired.push(...taken.flatMap((step) => step ?? []));
    }
    return expired;
  }

  due(
    limit: number,
    perUser: number,
    redispatchMs: number,
    bookId: string | null = null,
  ): Promise<readonly Step[]> {
    return findDue(this.#connection, { limit, perUser, redispatchMs, bookId });
  }

  async markDispatched(ids: readonly string[]): Promise<void> {
    const update = { $set: { dispatchedAt: this.#connection.now() }, $inc: { dispatches: 1 } };
    for (const piece of pieces(ids, PIECE)) {
      await this.#connection.run(() => this.#steps.updateMany({ _id: { $in: piece } }, update));
    }
  }

  async forgetDispatches(): Promise<void> {
    // Those at work need no wake-up, and forget theirs when they are given back.
    await this.#connection.run(() =>
      this.#steps.updateMany(
        { state: "pending", dispatchedAt: { $gte: new Date(0) } },
        { $set: { dispatchedAt: null } },
      ),
    );
  }

  async backlog(): Promise<{
    readonly pending: number;
    readonly running: number;
    readonly oldestDueMs: number;
  }> {
    const now = this.#connection.now();
    const [pending, running, oldest] = await Promise.all([
      this.#connection.run((options) => this.#steps.countDocuments({ state: "pending" }, options)),
      this.#connection.run((options) => this.#steps.countDocuments({ state: "running" }, options)),
      this.#connection.run((options) =>
        this.#steps.findOne(
          { state: "pending", notBefore: { $lte: now } },
          { ...options, sort: { notBefore: 1 }, projection: { notBefore: 1 } },
        ),
      ),
    ]);
    const oldestDueMs = oldest ? now.getTime() - oldestSchema.parse(oldest).notBefore.getTime() : 0;
    return { pending, running, oldestDueMs };
  }

  async liveRuns(limit: number, after: string | null): Promise<readonly Run[]> {
    const found = await this.#connection.run((options) =>
      this.#runs
        .find({ ...live, ...(after === null ? {} : { _id: { $gt: after } }) }, options)
        .sort({ _id: 1 })
        .limit(limit)
        .toArray(),
    );
    return found.map(parseRun);
  }

  async liveRunsOfBook(bookId: string): Promise<readonly Run[]> {
    const found = await this.#connection.run((options) =>
      this.#runs
        .find({ ...live, bookId: { $eq: bookId } }, options)
        .sort({ _id: 1 })
        .toArray(),
    );
    return found.map(parseRun);
  }

  async unparsedBooks(limit: number): Promise<readonly Book[]> {
    const found = await this.#connection.run((options) =>
      this.#books
        .find({ deletedAt: null, status: { $in: ["stored", "parsing"] } }, options)
        .sort({ _id: 1 })
        .limit(limit)
        .toArray(),
    );
    return found.map(parseBook);
  }

  purgeDeleted(limit: number): Promise<number> {
    return this.#purge.purgeDeleted(limit);
  }

  deletedBooks(limit: number): Promise<readonly Book[]> {
    return this.#purge.deletedBooks(limit);
  }

  collectOrphans(olderThanMs: number): Promise<number> {
    return this.#purge.collectOrphans(olderThanMs);
  }

  async abandonCalls(olderThanMs: number): Promise<number> {
    const filter = { state: "sent" as const, sentAt: { $lt: this.#connection.ago(olderThanMs) } };
    const change = { state: "unknown" as const, settledAt: this.#connection.now() };
    const { modifiedCount } = await this.#connection.run(() =>
      this.#ledger.updateMany(filter, { $set: change }),
    );
    return modifiedCount;
  }

  async expireReplies(olderThanMs: number): Promise<void> {
    const before = this.#connection.ago(olderThanMs);
    await this.#connection.run(() => this.#replies.deleteMany({ createdAt: { $lt: before } }));
  }

  /** Null when its worker was heard of, or another process was quicker. */
  async #takeBack(
    { _id, fence, crashes }: StepDocument,
    maxCrashes: number,
    now: Date,
  ): Promise<Step | null> {
    const next =
      crashes + 1 < maxCrashes
        ? { ...RELEASED, state: "pending" as const }
        : { ...RELEASED, state: "dead" as const, endedAt: now };
    const found = await this.#connection.run(() =>
      this.#steps.findOneAndUpdate(
        { _id, fence, crashes, state: "running", leaseUntil: { $lt: now } },
        { $set: next, $inc: { crashes: 1 } },
        { returnDocument: "after" },
      ),
    );
    return found && parseStepDocument(found);
  }
}

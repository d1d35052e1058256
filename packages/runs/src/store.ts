import type { Book, BookFormat, Chapter, ChapterOutline, Failure, ParsedBook } from "./book.ts";
import type { LedgerStore } from "./ledger.ts";
import type { Run, RunStatus } from "./run.ts";
import type { NewStep, Step } from "./step.ts";

/**
 * The system of record. Two implementations pass one contract suite: MongoDB and SQLite.
 *
 * Every function takes the user first and sees nothing of anyone else, but for what works on behalf of all users: claim,
 * heartbeat and end of a step, the look-up of a key, an answer by its scope, a secret of the server, and the dispatcher's
 * (gathered in `DispatchStore`).
 * No function needs a transaction of several documents; whatever takes two writes can be repeated without harm.
 * Any function may throw `StoreUnavailableError`.
 */
export interface Store extends AsyncDisposable {
  readonly kind: "mongodb" | "sqlite";
  readonly books: BookStore;
  readonly runs: RunStore;
  readonly steps: StepStore;
  readonly ledger: LedgerStore;
  readonly keys: KeyStore;
  readonly replies: ReplyStore;
  readonly secrets: SecretStore;
  readonly dispatch: DispatchStore;
  /** Rejects within 2 seconds when the store does not answer. */
  ping(): Promise<void>;
}

/** The store did not answer in time, or not at all. What was asked may or may not have happened. */
export class StoreUnavailableError extends Error {
  override readonly name = "StoreUnavailableError";
  readonly code = "store_unavailable";
  readonly retryable = true;
}

export interface Page<Item> {
  readonly items: readonly Item[];
  /** Pass as `after` for the next page; null at the end. */
  readonly next: string | null;
}

export interface PageRequest {
  readonly limit: number;
  /** The id of the last item seen. Ids sort by time; lists begin with the newest. */
  readonly after: string | null;
}

export interface NewBook {
  readonly id: string;
  readonly sha256: string;
  readonly bytes: number;
  readonly format: BookFormat;
  readonly fileName: string | null;
}

export interface BookStore {
  /**
   * Streams a file into the store, hashing on the way. An error thrown by `content` removes what was written and is
   * thrown on. Bytes without a book are collected by the dispatcher after a day.
   */
  storeBytes(
    user: string,
    id: string,
    content: AsyncIterable<Uint8Array>,
  ): Promise<{ readonly bytes: number; readonly sha256: string }>;
  removeBytes(user: string, id: string): Promise<void>;
  /** The file's bytes in order; nothing when there are none. */
  readBytes(user: string, id: string): AsyncIterable<Uint8Array>;
  /**
   * Makes the book of bytes that are stored under the same id. When the user has a book of the same bytes already, that
   * one is answered and nothing is made.
   */
  create(user: string, book: NewBook): Promise<{ readonly book: Book; readonly created: boolean }>;
  /** Null when there is none, it is someone else's, or it was deleted. */
  get(user: string, id: string): Promise<Book | null>;
  list(user: string, page: PageRequest): Promise<Page<Book>>;
  /** Bytes of all files of the user's books that are not deleted. */
  bytesStored(user: string): Promise<number>;
  /** `stored → parsing`; no change in any other status. */
  markParsing(user: string, id: string): Promise<void>;
  /**
   * Writes the chapters of one edition, in pieces; a repeated write replaces. They become the book's with `markReady`.
   */
  saveChapters(user: string, id: string, edition: number, chapters: readonly Chapter[]): Promise<void>;
  /** `stored | parsing → ready`, with the edition that counts. False when the book is not in those any more. */
  markReady(user: string, id: string, edition: number, parsed: ParsedBook): Promise<boolean>;
  /** `stored | parsing → refused`. False when the book is not in those any more. */
  markRefused(user: string, id: string, error: Failure): Promise<boolean>;
  /** Outlines in reading order; empty until the book is ready. */
  outlines(user: string, id: string): Promise<readonly ChapterOutline[]>;
  chapter(user: string, id: string, index: number): Promise<Chapter | null>;
  /** Makes the book invisible at once. Its rows are removed by the dispatcher. False when there is none. */
  delete(user: string, id: string): Promise<boolean>;
}

export interface RunFilter extends PageRequest {
  readonly status?: readonly RunStatus[];
  readonly bookId?: string;
}

export type RunChange = Partial<Omit<Run, "id" | "user" | "bookId" | "revision">>;

export interface RunStore {
  create(user: string, run: Run): Promise<void>;
  get(user: string, id: string): Promise<Run | null>;
  list(user: string, filter: RunFilter): Promise<Page<Run>>;
  /** Applies the change when the run still has this revision, and raises it. Null when it has not. */
  update(user: string, id: string, revision: number, change: RunChange): Promise<Run | null>;
}

/** A stored result of a step. */
export interface StepResult {
  /** `<step>.f<fence>` */
  readonly id: string;
  readonly stepId: string;
  readonly runId: string | null;
  readonly value: unknown;
}

/** What a worker hands in when a step is done. */
export interface StepOutcome {
  /** JSON. */
  readonly value: unknown;
  readonly reusedAnswers: number;
}

export interface StepStore {
  /** Inserts those that are not there; what waits becomes pending; all else stays as it is. Answers how many became pending. */
  insert(user: string, steps: readonly NewStep[]): Promise<number>;
  /** All steps of a run, ordered by id. */
  ofRun(user: string, runId: string): Promise<readonly Step[]>;
  get(user: string, id: string): Promise<Step | null>;
  /** The results that the done steps among `ids` name, in the order of `ids`. */
  results(user: string, ids: readonly string[]): Promise<readonly StepResult[]>;
  /** `pending | waiting → cancelled` for all of a run that nobody works on. Answers how many. */
  cancelPending(user: string, runId: string): Promise<number>;
  /** `failed | dead | cancelled | done → waiting` with errors, crashes and hand-backs at zero. Answers how many. */
  reset(user: string, ids: readonly string[]): Promise<number>;

  /** `pending → running` for a step that is due: owner, lease, fence + 1. Null when there is nothing to claim. */
  claim(id: string, owner: string, leaseMs: number): Promise<Step | null>;
  /** Extends the lease. False when the fence is lost. */
  heartbeat(id: string, fence: number, leaseMs: number): Promise<boolean>;
  /** `running → done`, with its result. False, and no result to be read, when the fence is lost. */
  complete(id: string, fence: number, outcome: StepOutcome): Promise<boolean>;
  /** `running → pending` not before `retryAt`, or `→ failed` when that is null; attempts + 1. False when the fence is lost. */
  fail(id: string, fence: number, error: Failure, retryAt: Date | null): Promise<boolean>;
  /** `running → pending`, at no cost. False when the fence is lost. */
  handBack(id: string, fence: number): Promise<boolean>;
  /** `running → pending` not before `until`, at no cost: what it needs is not there now. False when the fence is lost. */
  postpone(id: string, fence: number, reason: Failure, until: Date): Promise<boolean>;
  /** What a postponed step waits for is there: it is due. Nothing happens to a step that is not postponed. */
  hasten(id: string): Promise<void>;
  /** `running → cancelled`. False when the fence is lost. */
  cancel(id: string, fence: number): Promise<boolean>;
}

export interface DispatchStore {
  /** Running steps whose lease ran out become pending with crashes + 1, or dead at `maxCrashes`. Answers them as they are now. */
  expireLeases(maxCrashes: number): Promise<readonly Step[]>;
  /**
   * Steps to wake someone for, oldest first: pending, due, and not dispatched since `redispatchMs`. At most `perUser` of one
   * user, counting those at work and those that were dispatched since, so that nobody fills the queue. With a book's id, those
   * of this book alone.
   */
  due(limit: number, perUser: number, redispatchMs: number, bookId?: string | null): Promise<readonly Step[]>;
  markDispatched(ids: readonly string[]): Promise<void>;
  /** Forgets that anything was dispatched: the queue was wiped. */
  forgetDispatches(): Promise<void>;
  /** Pending steps and the age of the oldest that is due, for those who watch. */
  backlog(): Promise<{ readonly pending: number; readonly running: number; readonly oldestDueMs: number }>;
  /** Live runs, oldest first. */
  liveRuns(limit: number, after: string | null): Promise<readonly Run[]>;
  /** Live runs of a book. */
  liveRunsOfBook(bookId: string): Promise<readonly Run[]>;
  /** Books in `stored` or `parsing`, not deleted. */
  unparsedBooks(limit: number): Promise<readonly Book[]>;
  /** Removes rows of deleted books (bytes, chapters, steps and results of their runs; the ledger stays), a piece at a time. Answers books finished. */
  purgeDeleted(limit: number): Promise<number>;
  /** Deleted books of which runs are still live. */
  deletedBooks(limit: number): Promise<readonly Book[]>;
  /** Removes bytes and chapters that belong to no book and are older. Answers how many files. */
  collectOrphans(olderThanMs: number): Promise<number>;
  /** Ledger rows still `sent` after so long become `unknown`: the call may have been paid for. Answers how many. */
  abandonCalls(olderThanMs: number): Promise<number>;
  /** Removes replies kept longer. */
  expireReplies(olderThanMs: number): Promise<void>;
}

export interface SecretStore {
  /** 32 random bytes in base64url: made when they are asked for first, and the same ever after for every process. */
  obtain(name: string): Promise<string>;
}

export type Role = "user" | "admin";

export interface ApiKey {
  readonly id: string;
  readonly user: string;
  readonly role: Role;
  /** Of the whole key, in hexadecimal. The key itself is nowhere. */
  readonly sha256: string;
  readonly lastFour: string;
  readonly createdAt: Date;
  readonly revokedAt: Date | null;
}

export interface KeyStore {
  create(key: ApiKey): Promise<void>;
  /** Revoked ones too: the caller decides. */
  findBySha256(sha256: string): Promise<ApiKey | null>;
  list(): Promise<readonly ApiKey[]>;
  /** False when there is no such key. */
  revoke(id: string): Promise<boolean>;
  /** True as soon as one key was ever made, revoked or not. */
  wereEverMade(): Promise<boolean>;
}

/** What was answered to a request with an `Idempotency-Key`. */
export interface Reply {
  readonly fingerprint: string;
  /** Null while the first request is still at work. */
  readonly status: number | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly createdAt: Date;
}

export interface ReplyStore {
  /** Takes the key for a request. Null: it is ours now. Else what is there. One at work for over a minute is taken over. */
  begin(user: string, key: string, fingerprint: string): Promise<Reply | null>;
  /** Keeps the answer. What is answered already stays as it is. */
  finish(user: string, key: string, reply: Pick<Reply, "status" | "headers" | "body">): Promise<void>;
  /** Forgets a key that is not answered: the request failed in a way that a repetition may mend. */
  abandon(user: string, key: string): Promise<void>;
}

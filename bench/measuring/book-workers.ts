import type { Bench } from "../bench.ts";
import type { BookWorkerOrders, BookWorkerSettings } from "../children/book-worker.ts";
import type { Child } from "./child.ts";

const PROCESSES = 4;

/** Four processes that share the books of a library among them. */
export class BookWorkers implements AsyncDisposable {
  readonly #stack: AsyncDisposableStack;
  readonly #members: readonly Child<BookWorkerOrders>[];
  readonly #books: number;

  private constructor(
    stack: AsyncDisposableStack,
    members: readonly Child<BookWorkerOrders>[],
    books: number,
  ) {
    this.#stack = stack;
    this.#members = members;
    this.#books = books;
  }

  static async start(bench: Bench, settings: BookWorkerSettings): Promise<BookWorkers> {
    await using stack = new AsyncDisposableStack();
    const start = async () => stack.use(await bench.child<BookWorkerOrders>("book-worker", settings));
    // It makes the store for the others.
    const first = await start();
    const members = [first, ...(await Promise.all(Array.from({ length: PROCESSES - 1 }, start)))];
    return new BookWorkers(stack.move(), members, settings.library.books);
  }

  /** Neighbours are in different processes: those that are alike are asked at the same time. */
  async begin(run: string): Promise<void> {
    const books = Array.from({ length: this.#books }, (_, book) => book);
    await Promise.all(
      this.#members.map((member, at) =>
        member.order("begin", { run, books: books.filter((book) => book % PROCESSES === at) }),
      ),
    );
  }

  /** Gives how often a step had to wait. */
  async done(): Promise<number> {
    const waits = await Promise.all(this.#members.map((member) => member.order("done", null)));
    return waits.reduce((sum, count) => sum + count, 0);
  }

  /** With SIGKILL. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

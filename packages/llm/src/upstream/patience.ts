/** How long a call may take, in milliseconds. */
export interface Waits {
  /** The last byte included. */
  readonly timeoutMs: number;
  /** Between two pieces of a streamed answer, once it has begun. */
  readonly idleMs: number;
}

/** What is left to come once an answer is whole: how many tokens it had. Nobody waits long for that. */
const AFTER_END_MS = 5_000;

/** Ends a call that takes too long, or that nobody waits for any more. */
export class Patience implements Disposable {
  readonly #controller = new AbortController();
  readonly #caller: AbortSignal;
  readonly #idleMs: number;
  readonly #whole: NodeJS.Timeout;
  readonly #stop = () => this.#end("stopped");
  #idle: NodeJS.Timeout | null = null;
  #endedBy: "stopped" | "timeout" | null = null;

  constructor(caller: AbortSignal, { timeoutMs, idleMs }: Waits) {
    this.#caller = caller;
    this.#idleMs = idleMs;
    this.#whole = setTimeout(() => this.#end("timeout"), timeoutMs);
    caller.addEventListener("abort", this.#stop);
    if (caller.aborted) this.#stop();
  }

  /** For the SDK. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** What ended it: its caller, or the time. Null while it lasts. */
  get endedBy(): "stopped" | "timeout" | null {
    return this.#endedBy;
  }

  /** A piece of the answer came. Bytes that make no piece, such as comments that keep a connection open, are no progress. */
  progressed(isWhole: boolean): void {
    if (this.#idle !== null) clearTimeout(this.#idle);
    const waitMs = isWhole ? Math.min(AFTER_END_MS, this.#idleMs) : this.#idleMs;
    this.#idle = setTimeout(() => this.#end("timeout"), waitMs);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#whole);
    if (this.#idle !== null) clearTimeout(this.#idle);
    this.#caller.removeEventListener("abort", this.#stop);
  }

  #end(reason: "stopped" | "timeout"): void {
    this.#endedBy ??= reason;
    this.#controller.abort();
  }
}

import { Agent, type Dispatcher } from "undici";

/** The response goes on and on. */
export class ResponseTooLargeError extends Error {
  override readonly name = "ResponseTooLargeError";
}

/** Bytes. The longest answers that models can give have a few hundred thousand. */
const MOST_RESPONSE_BYTES = 8_000_000;
/** A stream has some 300 bytes of framing for each token, and the longest answers 128,000 tokens. */
const MOST_STREAM_BYTES = 64_000_000;

/** Without time-outs of its own: Patience knows when a call has taken too long, and Node's five minutes are fewer than flex may need. */
const agent = new Agent({ headersTimeout: 0, bodyTimeout: 0 });

type Fetch = (url: Parameters<typeof fetch>[0], init?: Parameters<typeof fetch>[1]) => Promise<Response>;

/**
 * As fetch for what the SDK sends, at a third of fetch's cost; but the body of what comes back fails once it is longer than any answer,
 * instead of filling the memory, and a redirect is an answer like any other: what an endpoint is sent goes nowhere else. It throws a TypeError
 * with the cause, when there is no response.
 *
 * This one gives a response when all of it is there, and as a text alone.
 */
export const fetchWhole: Fetch = (url, init) => exchange(url, init, false);

/** This one gives it when it begins. */
export const fetchStream: Fetch = (url, init) => exchange(url, init, true);

function exchange(
  url: Parameters<Fetch>[0],
  { method = "GET", headers, body, signal }: NonNullable<Parameters<Fetch>[1]> = {},
  isStreamed: boolean,
): Promise<Response> {
  const { origin, pathname, search } = new URL(url instanceof Request ? url.url : url);
  const handler = new Exchange(signal ?? null, isStreamed);
  agent.dispatch(
    {
      origin,
      path: `${pathname}${search}`,
      method: method as Dispatcher.HttpMethod,
      // The SDK's own, without a copy.
      headers: headers instanceof Headers ? headers : new Headers(headers),
      body: typeof body === "string" ? body : null,
    },
    handler,
  );
  return handler.response;
}

/** One request, and what comes back. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly response: Promise<Response>;
  readonly #signal: AbortSignal | null;
  readonly #isStreamed: boolean;
  readonly #resolve: (response: Response) => void;
  readonly #reject: (error: unknown) => void;
  #controller: Dispatcher.DispatchController | null = null;
  #head: { readonly status: number; readonly headers: Headers } | null = null;
  #stream: ReadableStreamDefaultController<Uint8Array> | null = null;
  readonly #pieces: Buffer[] = [];
  #bytes = 0;
  #mostBytes = MOST_RESPONSE_BYTES;
  #isOver = false;

  constructor(signal: AbortSignal | null, isStreamed: boolean) {
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    this.response = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#signal = signal;
    this.#isStreamed = isStreamed;
    if (signal?.aborted) this.#stop();
    else signal?.addEventListener("abort", this.#stop);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#signal?.aborted) this.#stop();
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: NodeJS.Dict<string | string[]>,
  ): void {
    // That the response is on its way is no news.
    if (status < 200) return;
    this.#head = { status, headers: headersOf(headers) };
    if (this.#head.headers.get("content-type")?.startsWith("text/event-stream"))
      this.#mostBytes = MOST_STREAM_BYTES;
    if (!this.#isStreamed) return;
    const stream = new ReadableStream<Uint8Array>({
      start: (reader) => {
        this.#stream = reader;
      },
      pull: () => controller.resume(),
      cancel: () => this.#end(() => controller.abort(new Error("Nobody reads on."))),
    });
    this.#answer(() => new Response(stream, this.#head ?? {}));
  }

  onResponseData(controller: Dispatcher.DispatchController, piece: Buffer): void {
    // Comes with every resumption.
    if (piece.length === 0) return;
    this.#bytes += piece.length;
    if (this.#bytes > this.#mostBytes) {
      controller.abort(new ResponseTooLargeError(`More than ${this.#mostBytes} bytes came back.`));
      return;
    }
    if (this.#stream === null) {
      this.#pieces.push(piece);
      return;
    }
    this.#stream.enqueue(piece);
    if ((this.#stream.desiredSize ?? 0) <= 0) controller.pause();
  }

  onResponseEnd(): void {
    const stream = this.#stream;
    const head = this.#head;
    this.#end(() => {
      if (stream !== null) stream.close();
      else if (head !== null) this.#answer(() => new WholeResponse(Buffer.concat(this.#pieces), head));
    });
  }

  onResponseError(_controller: unknown, error: Error): void {
    const stream = this.#stream;
    const isOurs = error instanceof ResponseTooLargeError;
    this.#end(() => {
      if (stream !== null) stream.error(error);
      else this.#reject(isOurs ? error : new TypeError("No response came.", { cause: error }));
    });
  }

  /** Does what ends the exchange; once, as a reader who has gone is told nothing more. */
  #end(work: () => void): void {
    this.#signal?.removeEventListener("abort", this.#stop);
    if (this.#isOver) return;
    this.#isOver = true;
    work();
  }

  /** Endpoints answer with numbers that are no status at all. */
  #answer(make: () => Response): void {
    try {
      this.#resolve(make());
    } catch (error) {
      this.#reject(error);
    }
  }

  readonly #stop = () => {
    const reason: unknown = this.#signal?.reason;
    this.#reject(reason);
    this.#controller?.abort(reason instanceof Error ? reason : new Error("The call was stopped."));
  };
}

/** One that is there to its end, without the stream that a Response makes of a text. */
class WholeResponse extends Response {
  override readonly text: () => Promise<string>;
  override readonly json: () => Promise<unknown>;

  constructor(bytes: Buffer, head: ResponseInit) {
    super(null, head);
    this.text = async () => UTF_8.decode(bytes);
    this.json = async () => JSON.parse(await this.text());
  }
}

const UTF_8 = new TextDecoder();

function headersOf(headers: NodeJS.Dict<string | string[]>): Headers {
  const all = new Headers();
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value === "string") all.append(name, value);
    else for (const one of value ?? []) all.append(name, one);
  }
  return all;
}

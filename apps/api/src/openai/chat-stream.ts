import type { AnswerPolicy, Completed, StreamEvent } from "@mythic/llm";
import { AMOUNTS, amounts, beginningHeaders, cacheHeaders } from "./cache-headers.ts";
import { brokeOff, replayOf, restOf, withoutUsage } from "./completion.ts";
import type { EventStream } from "./event-stream.ts";
import { Shown } from "./shown.ts";

export interface ChatStreamOptions {
  readonly policy: AnswerPolicy;
  /** Whether the usage is asked for. */
  readonly usage: boolean;
}

/** An answer as a stream of chunks in OpenAI's shape. */
export class ChatStream {
  readonly #out: EventStream;
  readonly #options: ChatStreamOptions;
  readonly #shown = new Shown();
  #trailers: Readonly<Record<string, string>> = {};

  constructor(out: EventStream, options: ChatStreamOptions) {
    this.#out = out;
    this.#options = options;
  }

  get hasBegun(): boolean {
    return this.#out.hasBegun;
  }

  /** @throws ModelError when the client has chunks that are void */
  async take(event: StreamEvent): Promise<void> {
    if (event.type === "chunk") await this.#passOn(event);
    else if (event.type === "done") await this.#finish(event.completed);
    else if (this.hasBegun) throw brokeOff();
  }

  async end(): Promise<void> {
    await this.#out.write("[DONE]");
    this.#out.end(this.#trailers);
  }

  /** Ends it with an error, after which nothing comes. */
  async breakOff(error: unknown): Promise<void> {
    await this.#out.write(JSON.stringify(error));
    this.#out.end();
  }

  async #passOn(event: Extract<StreamEvent, { type: "chunk" }>): Promise<void> {
    const { policy, usage } = this.#options;
    this.#out.begin(beginningHeaders(event, policy), AMOUNTS);
    this.#shown.add(event.chunk);
    const chunk = usage ? event.chunk : withoutUsage(event.chunk);
    if (chunk !== null) await this.#out.write(JSON.stringify(chunk));
  }

  async #finish(completed: Completed): Promise<void> {
    const { policy } = this.#options;
    if (this.hasBegun) {
      this.#trailers = amounts(completed);
      await this.#writeAll(restOf(completed, this.#shown, this.#options));
    } else {
      this.#out.begin(cacheHeaders(completed, policy));
      await this.#writeAll(replayOf(completed, this.#options));
    }
  }

  async #writeAll(chunks: Iterable<unknown>): Promise<void> {
    for (const chunk of chunks) await this.#out.write(JSON.stringify(chunk));
  }
}

import { waitFor } from "@mythic/testing/wait";
import type { Answer } from "../../src/answers/answer.ts";
import type { FlightEvent, Lead, Leading } from "../../src/flight/flights.ts";

export function answerOf(text: string): Answer {
  return {
    text,
    message: { role: "assistant", content: text },
    finishReason: "stop",
    modelAnswered: "gpt-5-mini-2026",
    usage: { inputTokens: 7, cachedTokens: null, outputTokens: 3 },
    answeredAt: new Date("2026-11-21T12:00:00.000Z"),
    id: `chatcmpl-${text}`,
  };
}

export const chunkOf = (text: string) => ({ choices: [{ index: 0, delta: { content: text } }] });

/** A lead that goes as the test says. */
export interface ScriptedLead extends Leading {
  answer(text: string): void;
  fail(error: unknown): void;
}

/** Leads, in the order in which they began. */
export class Leads {
  readonly begun: ScriptedLead[] = [];

  readonly lead: Lead = (leading) => {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    this.begun.push({
      signal: leading.signal,
      emit: (text) => leading.emit(chunkOf(String(text))),
      holds: () => leading.holds(),
      answer: (text) => resolve(answerOf(text)),
      fail: reject,
    });
    return promise;
  };

  /** Waits for a lead to begin, counted from 0. */
  async at(index: number): Promise<ScriptedLead> {
    return await waitFor(() => this.begun[index], { what: `lead ${index} to begin` });
  }
}

/** A caller that writes down what it gets. */
export class Reading {
  readonly events: FlightEvent[] = [];
  readonly done: Promise<void>;
  /** What was thrown, if anything. */
  error: unknown = null;
  readonly #leaving = new AbortController();

  constructor(join: (signal: AbortSignal) => AsyncIterable<FlightEvent>) {
    this.done = this.#read(join(this.#leaving.signal));
  }

  /** Texts of chunks, and `|` for a reset. */
  get text(): string {
    return this.events.map(textOf).join("");
  }

  get end() {
    return this.events.find((event) => event.type === "end");
  }

  async leave(): Promise<void> {
    this.#leaving.abort();
    await this.done;
  }

  async until(text: string): Promise<void> {
    await waitFor(() => this.text === text, { what: `"${text}", having read "${this.text}"` });
  }

  async #read(events: AsyncIterable<FlightEvent>): Promise<void> {
    try {
      for await (const event of events) this.events.push(event);
    } catch (error) {
      this.error = error;
    }
  }
}

export function textOf(event: FlightEvent): string {
  if (event.type === "reset") return "|";
  if (event.type === "end") return "";
  const { choices } = event.chunk as ReturnType<typeof chunkOf>;
  return choices.map(({ delta }) => delta.content).join("");
}

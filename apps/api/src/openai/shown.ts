/** What a client was streamed of an answer so far: of its first choice, as whoever asks for more gets all from the call itself. */
export class Shown {
  /** UTF-16 units. */
  content = 0;
  refusal = 0;
  callsTools = false;
  hasFinished = false;
  hasUsage = false;

  add(chunk: unknown): void {
    if (!isFields(chunk)) return;
    if (isFields(chunk["usage"])) this.hasUsage = true;
    const choices: readonly unknown[] = Array.isArray(chunk["choices"]) ? chunk["choices"] : [];
    for (const choice of choices) if (isFields(choice)) this.#addChoice(choice);
  }

  #addChoice({ index = 0, delta, finish_reason: finishReason }: Fields): void {
    if (index !== 0) return;
    if (typeof finishReason === "string") this.hasFinished = true;
    if (!isFields(delta)) return;
    this.content += unitsOf(delta["content"]);
    this.refusal += unitsOf(delta["refusal"]);
    if (Array.isArray(delta["tool_calls"])) this.callsTools = true;
  }
}

type Fields = Readonly<Record<string, unknown>>;

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null;
}

function unitsOf(text: unknown): number {
  return typeof text === "string" ? text.length : 0;
}

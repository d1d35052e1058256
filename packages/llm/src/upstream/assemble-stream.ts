/** A JSON object of whatever shape. */
type Fields = Readonly<Record<string, unknown>>;

interface Choice {
  readonly message: Record<string, unknown>;
  finishReason: unknown;
}

/** Texts that come whole; all others come in pieces. */
const WHOLE = new Set(["id", "type", "role", "name"]);

/** Makes of the chunks of a stream the completion that had come without one. */
export class StreamAssembly {
  readonly #choices = new Map<number, Choice>();
  /** Of the completion itself: `id`, `model`, `usage` and what else there is; the last word counts. */
  readonly #head: Record<string, unknown> = {};
  readonly #expected: number;

  /** `expected`: how many choices were asked for. */
  constructor(expected: number) {
    this.#expected = expected;
  }

  /** True once every choice has come to its end. What may follow says how many tokens it had. */
  get isWhole(): boolean {
    const choices = [...this.#choices.values()];
    return choices.length >= this.#expected && choices.every(({ finishReason }) => finishReason !== null);
  }

  /** False for what is no chunk. */
  add(chunk: unknown): boolean {
    if (!isFields(chunk) || !Array.isArray(chunk["choices"])) return false;
    for (const [name, value] of Object.entries(chunk)) {
      if (name !== "choices" && value !== null) this.#head[name] = value;
    }
    for (const choice of chunk["choices"]) if (isFields(choice)) this.#addTo(choice);
    return true;
  }

  /** A `chat.completion` as the API gives it. */
  completion(): Fields {
    const choices = [...this.#choices]
      .sort(([left], [right]) => left - right)
      .map(([index, { message, finishReason }]) => ({ index, message, finish_reason: finishReason }));
    return { ...this.#head, object: "chat.completion", choices };
  }

  #addTo({ index, delta, finish_reason: finishReason }: Fields): void {
    const place = typeof index === "number" ? index : 0;
    const choice = this.#choices.get(place) ?? { message: {}, finishReason: null };
    this.#choices.set(place, choice);
    if (isFields(delta)) merge(choice.message, delta);
    choice.finishReason ??= finishReason ?? null;
  }
}

function merge(target: Record<string, unknown>, delta: Fields): void {
  for (const [name, value] of Object.entries(delta)) {
    const before = target[name];
    if (typeof value === "string" && typeof before === "string" && !WHOLE.has(name)) {
      target[name] = before + value;
    } else if (Array.isArray(value)) target[name] = mergeItems(before, value);
    else if (isFields(value) && isFields(before)) merge(before, value);
    // A part that a chunk leaves out as null was said by another.
    else if (value !== null || before === undefined) target[name] = isFields(value) ? { ...value } : value;
  }
}

/** Pieces of tool calls say which one they belong to. Without that an item is one of its own. */
function mergeItems(before: unknown, pieces: readonly unknown[]): unknown[] {
  const items: unknown[] = Array.isArray(before) ? before : [];
  for (const piece of pieces) {
    if (!isFields(piece)) {
      items.push(piece);
      continue;
    }
    const { index, ...rest } = piece;
    const place = typeof index === "number" && index >= 0 && index <= items.length ? index : items.length;
    const item = items[place];
    if (isFields(item)) merge(item, rest);
    else items[place] = mergeInto(rest);
  }
  return items;
}

function mergeInto(delta: Fields): Record<string, unknown> {
  const target = {};
  merge(target, delta);
  return target;
}

function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

import { createHash } from "node:crypto";

/** Writes a text or the name of a member; null refuses what it cannot say. */
export type WriteText = (text: string) => string | null;

/** Deeper than any request is. A value that holds itself ends here too. */
const MOST_LEVELS = 100;
/** Names of this form say where something is without being text of someone's. */
const PLAIN_NAME = /^[\w$-]{1,64}$/;

/** What writes JSON for the way to an endpoint may not get to its end either. */
export const NESTED_TOO_DEEP = "is nested too deep, or holds itself";

/** Half of a pair of surrogates is no character, and two such texts could be one in UTF-8. */
export const NOT_WELL_FORMED = "is not well-formed Unicode";

/** A value that has no canonical JSON. Says where and why, and shows nothing of it. */
export class NotCanonicalError extends TypeError {
  override readonly name = "NotCanonicalError";
  /** `messages[1].content`; empty for the value as a whole. */
  readonly field: string;
  /** `is NaN`; what the field has to do to be refused. */
  readonly reason: string;

  constructor(field: string, reason: string) {
    super(`${field === "" ? "The value" : field} ${reason}, so it has no canonical JSON.`);
    this.field = field;
    this.reason = reason;
  }
}

/**
 * JSON with the members of every object in the order of their names' UTF-16 units and without members that are undefined: the same
 * for equal values, whatever the order in which they were built. Another way of writing texts may be given; as long as it writes
 * different texts differently, different values stay different.
 *
 * @throws NotCanonicalError for what JSON cannot say, as two different values would become equal
 */
export function canonicalJson(value: unknown, writeText: WriteText = JSON.stringify): string {
  return new CanonicalWriter(writeText).write(value);
}

/** SHA-256 of the canonical JSON, in hexadecimal. */
export function digestOf(value: unknown): string {
  return createHash("sha256").update(canonicalJson(value)).digest("hex");
}

class CanonicalWriter {
  readonly #writeText: WriteText;
  /** Where the writer is, for the error. Kept by hand: a string made at each step would cost more than the rest. */
  readonly #path: (string | number)[] = [];

  constructor(writeText: WriteText) {
    this.#writeText = writeText;
  }

  write(value: unknown): string {
    switch (typeof value) {
      case "string":
        return this.#text(value);
      case "boolean":
        return value ? "true" : "false";
      case "number":
        // JSON spells a number in one way: 1.0 and 1e0 are 1, and -0 is 0.
        return Number.isFinite(value) ? JSON.stringify(value) : this.#refuse(`is ${value}`);
      case "object":
        if (value === null) return "null";
        if (this.#path.length >= MOST_LEVELS) this.#refuse(NESTED_TOO_DEEP);
        return Array.isArray(value) ? this.#array(value) : this.#object(value);
      case "undefined":
        return this.#refuse("is undefined");
      case "bigint":
      case "function":
      case "symbol":
        return this.#refuse(`is a ${typeof value}`);
    }
  }

  #text(text: string): string {
    return this.#writeText(text) ?? this.#refuse(NOT_WELL_FORMED);
  }

  #array(items: readonly unknown[]): string {
    let json = "[";
    // By index, as other ways pass over holes.
    for (let index = 0; index < items.length; index += 1) {
      this.#path.push(index);
      json += index === 0 ? this.write(items[index]) : `,${this.write(items[index])}`;
      this.#path.pop();
    }
    return `${json}]`;
  }

  #object(value: object): string {
    if (!isPlain(value)) this.#refuse("is no plain object");
    const members = value as Readonly<Record<string, unknown>>;
    let json = "";
    for (const name of Object.keys(members).sort()) {
      const member = members[name];
      if (member === undefined) continue;
      this.#path.push(name);
      json += `${json === "" ? "" : ","}${this.#text(name)}:${this.write(member)}`;
      this.#path.pop();
    }
    return `{${json}}`;
  }

  #refuse(reason: string): never {
    throw new NotCanonicalError(fieldAt(this.#path), reason);
  }
}

/** Of no class: its prototype is none, or the end of the chain. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function fieldAt(path: readonly (string | number)[]): string {
  let field = "";
  for (const step of path.slice(0, 8)) {
    if (typeof step === "number") field += `[${step}]`;
    else field += `${field === "" ? "" : "."}${PLAIN_NAME.test(step) ? step : "…"}`;
  }
  return path.length > 8 ? `${field}…` : field;
}

import type { ChatRequest } from "./request.ts";

/** What the fake does instead of answering well. */
export type Behaviour =
  /** An error response. `code` goes to the error's body, for example `context_length_exceeded`. */
  | {
      readonly kind: "status";
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly code?: string;
      readonly message?: string;
    }
  /** The connection is cut: before the headers, after them, or after that many bytes of the body. */
  | { readonly kind: "cut"; readonly after: "nothing" | "headers" | number }
  /** Nothing is ever sent, or nothing more after the headers or that many bytes of the body. */
  | { readonly kind: "hang"; readonly after?: "headers" | number }
  /** After that many bytes of the body, or the whole events among them, nothing but spaces or comments, for ever. */
  | { readonly kind: "trickle"; readonly after: number; readonly everyMs: number }
  /** Status 200 and a body that is no completion. */
  | { readonly kind: "garbage"; readonly body: string; readonly contentType?: string }
  /** Half of the answer with `finish_reason: "length"`. */
  | { readonly kind: "truncate" }
  | { readonly kind: "refuse"; readonly text?: string }
  /** `finish_reason: "content_filter"`. */
  | { readonly kind: "filter" }
  | { readonly kind: "invalid_json" }
  /** JSON that does not fit the schema. */
  | { readonly kind: "invalid_schema" }
  | { readonly kind: "empty" }
  /** An answer that fits, with quotations that stand nowhere. */
  | { readonly kind: "wrong_quotation" }
  /** These words as the answer. */
  | { readonly kind: "answer"; readonly content: string | ((request: ChatRequest) => string) };

export interface Rule {
  /** Which requests: the prompt contains the string, matches the expression, or the function says so. All without it. */
  readonly match?: string | RegExp | ((request: ChatRequest) => boolean);
  /** For how many requests; for ever without it. */
  readonly times?: number;
  /** Before the first byte of the response, in milliseconds. */
  readonly latencyMs?: number;
  /** Between two chunks of a streamed answer, in milliseconds. */
  readonly chunkMs?: number;
  /** Named as the model that answered. */
  readonly model?: string;
  /** How many of the prompt's tokens are reported as read from the provider's cache. */
  readonly cachedTokens?: number;
  /** True leaves out the usage, as some endpoints do. */
  readonly withoutUsage?: boolean;
  /** Answers well without it. */
  readonly does?: Behaviour;
}

/** A rule in force. */
export interface ScriptedRule {
  /** How many requests it decided so far. */
  readonly used: number;
  remove(): void;
}

/** The rules in the order they were given; the first that matches and is not used up decides. */
export class RuleBook {
  readonly #entries: { rule: Rule; used: number }[] = [];

  add(rule: Rule): ScriptedRule {
    const entry = { rule, used: 0 };
    this.#entries.push(entry);
    return {
      get used() {
        return entry.used;
      },
      remove: () => {
        const place = this.#entries.indexOf(entry);
        if (place >= 0) this.#entries.splice(place, 1);
      },
    };
  }

  take(request: ChatRequest): Rule | null {
    const found = this.#entries.find(
      ({ rule, used }) => used < (rule.times ?? Number.POSITIVE_INFINITY) && matches(rule, request),
    );
    if (found === undefined) return null;
    found.used += 1;
    return found.rule;
  }
}

function matches({ match }: Rule, request: ChatRequest): boolean {
  if (match === undefined) return true;
  if (typeof match === "string") return request.prompt.includes(match);
  // A fresh search each time: an expression with the flag `g` remembers where it stopped.
  if (match instanceof RegExp) return request.prompt.search(match) >= 0;
  return match(request);
}

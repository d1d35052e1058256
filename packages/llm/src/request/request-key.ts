import { hash } from "node:crypto";
import { canonicalJson, NOT_WELL_FORMED, NotCanonicalError } from "./canonical-json.ts";
import type { ChatRequest } from "./chat-request.ts";
import { TextDigests } from "./text-digest.ts";

/**
 * Of the layout of keys, in front of each. Any change of what goes into a key, or how, needs a new one: answers kept under another
 * version are not found, instead of found for the wrong request.
 */
export const KEY_VERSION = "v1";

/**
 * What cannot change the text of an answer: how it travels, who is charged how much, how the provider caches, who asked. Everything
 * else is in the key, also fields that nobody here knows. A list of what counts instead would be wrong with each new parameter.
 */
export const DENIED_FIELDS: ReadonlySet<string> = new Set([
  "stream",
  "stream_options",
  "user",
  "safety_identifier",
  "metadata",
  "store",
  "service_tier",
  "prompt_cache_key",
  "prompt_cache_options",
  "prompt_cache_retention",
  // Of vLLM: keeps users apart in the cache of prefixes.
  "cache_salt",
  // Ids and patience that some endpoints take in the body.
  "request_id",
  "timeout",
]);

/** Whose data an answer is: a user's, or that of a book that an operator shares on purpose. */
export type Scope = `user:${string}` | `book:${string}`;

export interface KeyContext {
  readonly scope: Scope;
  /** Which endpoint is asked: the identity of its `Upstream`. */
  readonly endpoint: string;
}

/** Field → digest, as short as telling apart needs. Nobody without the secret can find out what was digested. */
export type FieldDigests = Readonly<Record<string, string>>;

/** The key of a request, for as long as the request is not changed. */
export interface AnswerKey {
  /** `v1.` and an HMAC-SHA-256 in base64url: 46 ASCII characters that say nothing about the request. */
  readonly id: string;
  /** Made when first read: only an explanation of a miss needs them. */
  readonly canonicalFields: FieldDigests;
}

/** A request without a key. Its answer cannot be kept. */
export interface Uncacheable {
  /** `messages[1].content` */
  readonly field: string;
  /** `is NaN` */
  readonly reason: string;
}

export interface RequestKeysOptions {
  /** At least 32 bytes. Another secret finds nothing of what was kept before. */
  readonly secret: string;
  readonly texts?: TextDigests;
}

/** SHA-256's. */
const BLOCK_BYTES = 64;
const DIGEST_BYTES = 32;
const LEAST_SECRET_BYTES = 32;
/** UTF-16 units above which a text enters as its digest, which then costs less than writing it as JSON. Part of the layout. */
const LONG_TEXT = 1024;
/** 128 bits in base64url. */
const FIELD_DIGEST_CHARACTERS = 22;
/** Messages that are told apart in an explanation; those after them count as one. */
const MESSAGES_APART = 32;
const PLAIN_NAME = /^\w{1,64}$/;

/** Makes keys of requests with the server's secret. */
export class RequestKeys {
  readonly #texts: TextDigests;
  /** The two keys of HMAC's two hashes. Of ASCII alone, so that the inner one can stand in front of a text. */
  readonly #innerKey: string;
  readonly #outerKey: string;

  /** @throws RangeError for a secret that could be guessed */
  constructor({ secret, texts = new TextDigests() }: RequestKeysOptions) {
    if (Buffer.byteLength(secret) < LEAST_SECRET_BYTES) {
      throw new RangeError(`The secret of the cache needs at least ${LEAST_SECRET_BYTES} bytes.`);
    }
    this.#texts = texts;
    const key = hash("sha256", secret, "hex");
    this.#innerKey = mask(key, 0x36);
    this.#outerKey = mask(key, 0x5c);
  }

  of(request: ChatRequest, { scope, endpoint }: KeyContext): AnswerKey | Uncacheable {
    if (!scope.isWellFormed()) return { field: "(scope)", reason: NOT_WELL_FORMED };
    try {
      const json = this.#canonical(withoutDenied(request));
      const id = `${KEY_VERSION}.${this.#authenticate(KEY_VERSION, scope, endpoint, json)}`;
      return new LazyKey(id, () => this.#digestFields(request, { scope, endpoint }));
    } catch (error) {
      if (error instanceof NotCanonicalError) return { field: error.field, reason: error.reason };
      throw error;
    }
  }

  /** A digest for each field, and for each message. Fields whose names could be text count as one. */
  #digestFields(request: ChatRequest, { scope, endpoint }: KeyContext): FieldDigests {
    const digests = new Map<string, string>();
    const digest = (field: string, value: unknown) => {
      const mac = this.#authenticate("field", scope, field, this.#canonical(value));
      digests.set(field, mac.slice(0, FIELD_DIGEST_CHARACTERS));
    };
    const { messages, ...fields } = withoutDenied(request);
    for (const [index, message] of request.messages.slice(0, MESSAGES_APART).entries()) {
      digest(`messages[${index}]`, message);
    }
    const more = request.messages.slice(MESSAGES_APART);
    if (more.length > 0) digest(`messages[${MESSAGES_APART}…]`, more);
    const { named = [], unnamed = [] } = Object.groupBy(Object.entries(fields), ([name]) =>
      PLAIN_NAME.test(name) ? "named" : "unnamed",
    );
    for (const [name, value] of named) digest(name, value);
    if (unnamed.length > 0) digest("(other fields)", Object.fromEntries(unnamed));
    // In brackets, as a request may have a field of that name.
    digest("(endpoint)", endpoint);
    return Object.fromEntries(digests);
  }

  #canonical(value: unknown): string {
    return canonicalJson(value, (text) => {
      // Two texts with lone surrogates would be one in UTF-8.
      if (!text.isWellFormed()) return null;
      // No JSON begins with a number sign, so no value of a request can pass for the digest of another.
      return text.length > LONG_TEXT ? `#${this.#texts.of(text)}` : JSON.stringify(text);
    });
  }

  /**
   * HMAC-SHA-256 (RFC 2104) of parts, in base64url. Each part is led by its length, so that no two lists of parts read the same.
   * Made of two hashes at once, which take a third of the time of `createHmac` for a short text.
   */
  #authenticate(...parts: readonly string[]): string {
    let text = this.#innerKey;
    for (const part of parts) text += `${part.length}:${part}`;
    const outer = Buffer.allocUnsafe(BLOCK_BYTES + DIGEST_BYTES);
    outer.write(this.#outerKey, "latin1");
    hash("sha256", text, "buffer").copy(outer, BLOCK_BYTES);
    return hash("sha256", outer, "base64url");
  }
}

class LazyKey implements AnswerKey {
  readonly id: string;
  readonly #digestFields: () => FieldDigests;
  #canonicalFields: FieldDigests | null = null;

  constructor(id: string, digestFields: () => FieldDigests) {
    this.id = id;
    this.#digestFields = digestFields;
  }

  get canonicalFields(): FieldDigests {
    this.#canonicalFields ??= this.#digestFields();
    return this.#canonicalFields;
  }
}

function withoutDenied(request: ChatRequest): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(request).filter(([name, value]) => value !== undefined && !DENIED_FIELDS.has(name)),
  );
}

function mask(key: string, pad: number): string {
  return String.fromCharCode(...Buffer.from(key, "latin1").map((byte) => byte ^ pad));
}

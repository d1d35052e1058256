import type { ChatRequest } from "../request/chat-request.ts";
import type { Answer } from "./answer.ts";

/**
 * - `reuse`: takes an answer that is there, else asks and keeps what comes
 * - `refresh`: asks, and keeps what comes in the place of what is there
 * - `bypass`: asks; neither takes nor keeps
 * - `only-if-cached`: takes an answer that is there, and never asks
 */
const CACHE_MODES = ["reuse", "refresh", "bypass", "only-if-cached"] as const;
type CacheMode = (typeof CACHE_MODES)[number];

/** What a call wants of answers that are kept. */
export interface AnswerPolicy {
  readonly mode: CacheMode;
  /** How long the answer is kept in Redis. As the operator set it without this; 0: not at all. */
  readonly ttlMs?: number;
  /** How old an answer may be to be taken. As old as it was kept without this. */
  readonly maxAgeMs?: number;
  /** When an answer must have been given at the earliest to be taken. */
  readonly since?: Date;
  /** Answers kept for one key, for requests with a temperature. 1 without this. */
  readonly variants?: number;
  /** Whether answers that call tools are kept too. They mostly have effects, so they are not without this. */
  readonly toolCalls?: boolean;
  /** Says no to an answer that could be kept. */
  readonly storeWhen?: (answer: Answer) => boolean;
}

/** Request headers that make no sense, together or alone. The message says which and what would. */
export class PolicyError extends Error {
  override readonly name = "PolicyError";
}

/** The part of `Headers` that is read here. */
export interface ReadableHeaders {
  get(name: string): string | null;
}

const MODE_HEADER = "x-mythic-cache-mode";
const TTL_HEADER = "x-mythic-cache-ttl";

/**
 * Of a call of the public endpoint. Without a header that says otherwise an answer is reused where the caller asked for
 * the same answer each time, by a temperature of 0, and the cache is bypassed elsewhere. All times in headers are whole seconds.
 *
 * `x-mythic-cache-mode` takes a mode. `x-mythic-cache-ttl` is how long the answer is kept: no longer than `mostTtlMs`, which is the
 * operator's, and not at all for 0. `Cache-Control` means what RFC 9111 says: without a mode of our own `no-cache` is `refresh`,
 * `no-store` is `bypass`, `only-if-cached` is itself, and `max-age` bounds the age of what is taken. A header about age or time
 * counts as asking for reuse.
 *
 * @throws PolicyError for values of no meaning and for headers that contradict each other
 */
export function endpointPolicy(
  request: ChatRequest,
  headers: ReadableHeaders,
  { mostTtlMs }: { readonly mostTtlMs: number },
): AnswerPolicy {
  const directives = readCacheControl(headers.get("cache-control"));
  const ttlMs = readTtl(headers.get(TTL_HEADER), mostTtlMs);
  const maxAgeMs = directives.get("max-age");
  const asked = askedMode(readMode(headers.get(MODE_HEADER)), directives);
  const byDefault =
    ttlMs !== undefined || maxAgeMs !== undefined || request["temperature"] === 0 ? "reuse" : "bypass";
  const mode = asked ?? byDefault;
  return {
    // Nothing that is there is young enough.
    mode: mode === "reuse" && maxAgeMs === 0 ? "refresh" : mode,
    ...(ttlMs === undefined ? {} : { ttlMs }),
    ...(maxAgeMs === undefined ? {} : { maxAgeMs }),
  };
}

function readMode(value: string | null): CacheMode | undefined {
  const word = value?.trim().toLowerCase();
  if (word === undefined) return undefined;
  const mode = CACHE_MODES.find((known) => known === word);
  if (mode === undefined) throw new PolicyError(`${MODE_HEADER} is one of ${CACHE_MODES.join(", ")}.`);
  return mode;
}

function readTtl(value: string | null, mostTtlMs: number): number | undefined {
  return value === null ? undefined : Math.min(readSeconds(TTL_HEADER, value.trim()), mostTtlMs);
}

/** The modes that satisfy a directive, the one that it stands for first. Of several directives the first here decides. */
const MODES_OF_DIRECTIVES = new Map<string, readonly [CacheMode, ...CacheMode[]]>([
  ["only-if-cached", ["only-if-cached"]],
  ["no-store", ["bypass", "only-if-cached"]],
  ["no-cache", ["refresh", "bypass"]],
]);

/** The directives that count, with the milliseconds of `max-age`. Others do not concern a request, or are not known. */
function readCacheControl(value: string | null): ReadonlyMap<string, number | undefined> {
  const directives = new Map<string, number | undefined>();
  for (const directive of (value ?? "").split(",")) {
    const [name = "", argument = ""] = directive.split("=", 2).map((part) => part.trim());
    const known = name.toLowerCase();
    if (MODES_OF_DIRECTIVES.has(known)) directives.set(known, undefined);
    if (known !== "max-age") continue;
    const maxAgeMs = readSeconds("max-age in Cache-Control", argument.replace(/^"(.*)"$/, "$1"));
    if (directives.has(known) && directives.get(known) !== maxAgeMs) {
      throw new PolicyError("Cache-Control has two different values of max-age.");
    }
    directives.set(known, maxAgeMs);
  }
  return directives;
}

/** The mode that the headers ask for; undefined where none does. */
function askedMode(
  own: CacheMode | undefined,
  directives: ReadonlyMap<string, unknown>,
): CacheMode | undefined {
  const given = [...MODES_OF_DIRECTIVES].filter(([directive]) => directives.has(directive));
  const mode = own ?? given[0]?.[1][0];
  for (const [directive, satisfying] of given) {
    if (mode === undefined || satisfying.includes(mode)) continue;
    const other = own === undefined ? `${given[0]?.[0]} beside it` : `${MODE_HEADER}: ${own}`;
    throw new PolicyError(`${directive} in Cache-Control contradicts ${other}.`);
  }
  return mode;
}

/** RFC 9111 takes more seconds than this for endless. */
const MOST_SECONDS = 2 ** 31;

function readSeconds(what: string, value: string): number {
  if (!/^\d+$/.test(value)) throw new PolicyError(`${what} is a whole number of seconds, such as 600.`);
  return Math.min(Number(value), MOST_SECONDS) * 1000;
}

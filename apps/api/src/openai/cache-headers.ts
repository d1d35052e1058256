import type { AnswerPolicy, Completed } from "@mythic/llm";

type Headers = Readonly<Record<string, string>>;

/** How an answer came about. Money in nano-dollars; left out where it is not known. */
export function cacheHeaders(completed: Completed, { mode }: AnswerPolicy): Headers {
  const { source, ageMs, keyDigest } = completed;
  return {
    ...stateHeaders({ source, keyDigest }, mode),
    "x-mythic-cache-age": String(Math.floor(ageMs / 1_000)),
    ...amounts(completed),
  };
}

/** What is known of an answer when it only begins. What it comes to is known at its end. */
export function beginningHeaders(begun: Begun, { mode }: AnswerPolicy): Headers {
  return { ...stateHeaders(begun, mode), "x-mythic-cache-age": "0" };
}

const COST = "x-mythic-cost";
const SAVED = "x-mythic-saved";
/** The names in `amounts`. */
export const AMOUNTS = [COST, SAVED] as const;

export function amounts({ cost, saved }: Completed): Headers {
  return {
    ...(cost === null ? {} : { [COST]: String(cost) }),
    ...(saved.cost === null ? {} : { [SAVED]: String(saved.cost) }),
  };
}

type Begun = Pick<Completed, "source" | "keyDigest">;

function stateHeaders({ source, keyDigest }: Begun, mode: AnswerPolicy["mode"]): Headers {
  return {
    // What has no key goes past the cache, whatever was asked for.
    "x-mythic-cache": stateOf(source, keyDigest === "" ? "bypass" : mode),
    "x-mythic-cache-tier": source,
    ...(keyDigest === "" ? {} : { "x-mythic-cache-key": keyDigest }),
  };
}

function stateOf(source: Completed["source"], mode: AnswerPolicy["mode"]): string {
  if (source === "leader") return mode === "bypass" ? "bypass" : "miss";
  return source === "follower" ? "coalesced" : "hit";
}

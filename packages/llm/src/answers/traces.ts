import type { GuardedRedis } from "@mythic/shared/redis";
import { z } from "zod";
import type { AnswerKey, Scope } from "../request/request-key.ts";
import type { AnswerTrace } from "./explain.ts";
import { NOT_STORED, type NotStored } from "./storing-rules.ts";

/** What came of the requests of a scope lately, so that it can be said why another one found nothing. */
export interface Traces {
  /** Never rejects. */
  note(scope: Scope, trace: AnswerTrace): Promise<void>;
  /** The latest first. Never rejects. */
  of(scope: Scope): Promise<readonly AnswerTrace[]>;
  /** Never rejects. */
  forget(scope: Scope): Promise<void>;
}

export interface TracesOptions {
  /** Null: this process remembers its own. */
  readonly redis: GuardedRedis | null;
  readonly namespace: string;
}

/** Of a scope. */
const MOST = 100;
const MOST_SCOPES = 1_000;
const TTL_MS = 24 * 3_600_000;

const time = z.iso.datetime().transform((text) => new Date(text));
const NOT_STORED_CODES = Object.keys(NOT_STORED) as [NotStored, ...NotStored[]];
const schema: z.ZodType<AnswerTrace, unknown> = z.object({
  id: z.string(),
  canonicalFields: z.record(z.string(), z.string()),
  answeredAt: time,
  expiresAt: time.exactOptional(),
  notStored: z.enum(NOT_STORED_CODES).exactOptional(),
});

/** What is remembered of an answer: that it was kept until a time, or why it was not. */
export function traceOf(
  key: AnswerKey,
  answeredAt: Date,
  fate: { readonly expiresAt: Date } | { readonly notStored: NotStored },
): AnswerTrace {
  return { id: key.id, canonicalFields: key.canonicalFields, answeredAt, ...fate };
}

/** In Redis for all processes; what could not be written there, or without it, is remembered by this process. */
export function openTraces({ redis, namespace }: TracesOptions): Traces {
  const own = new Map<Scope, AnswerTrace[]>();
  const keyOf = (scope: Scope) => `${namespace}:a:{${encodeURIComponent(scope)}}:traces`;

  function noteHere(scope: Scope, trace: AnswerTrace): void {
    if (own.size >= MOST_SCOPES && !own.has(scope)) own.clear();
    own.set(scope, [trace, ...(own.get(scope) ?? [])].slice(0, MOST));
  }

  async function noteInRedis(scope: Scope, trace: AnswerTrace): Promise<boolean> {
    if (redis === null) return false;
    const key = keyOf(scope);
    try {
      const json = JSON.stringify(trace);
      await redis.run((connection) =>
        connection
          .multi()
          .lpush(key, json)
          .ltrim(key, 0, MOST - 1)
          .pexpire(key, TTL_MS)
          .exec(),
      );
      return true;
    } catch {
      return false;
    }
  }

  return {
    async note(scope, trace) {
      if (!(await noteInRedis(scope, trace))) noteHere(scope, trace);
    },
    async of(scope) {
      const shared = await redis
        ?.run((connection) => connection.lrange(keyOf(scope), 0, MOST - 1))
        .catch(() => null);
      return [...(own.get(scope) ?? []), ...(shared ?? []).flatMap(parse)];
    },
    async forget(scope) {
      own.delete(scope);
      await redis?.run((connection) => connection.del(keyOf(scope))).catch(() => undefined);
    },
  };
}

function parse(json: string): readonly AnswerTrace[] {
  try {
    const trace = schema.safeParse(JSON.parse(json));
    return trace.success ? [trace.data] : [];
  } catch {
    return [];
  }
}

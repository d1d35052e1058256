import type { IncomingMessage } from "node:http";
import type { OpenAnswers } from "@mythic/llm";
import type { Submission } from "@mythic/runs";
import type { Reads, RunCache } from "@mythic/runs/cache";
import type { Logger } from "pino";
import { z } from "zod";
import type { Arriving } from "../arriving.ts";
import type { Caller, Scheme } from "../authenticate.ts";
import { type ErrorCode, Problem } from "../errors.ts";
import { fieldErrors } from "../field-errors.ts";
import type { Metrics } from "../metrics.ts";
import type { PolicyName } from "../policies.ts";
import type { RateLimits } from "../rate-limits.ts";
import type { RedisWatch } from "../redis-state.ts";
import type { RequestRecord } from "../request-record.ts";
import type { RunWaits } from "../run-waits.ts";
import type { Answer } from "../send.ts";
import type { UploadLimits } from "../upload-limits.ts";

type Method = "get" | "post" | "delete";

/** Who may ask: everyone, whoever has a key, whoever has an admin's key. */
export type Access = "public" | "user" | "admin";

/** What routes work with. */
export interface Services extends Submission {
  /** The model that answers new runs; null for the offline methods. */
  readonly model: string | null;
  /** The way to the models; null where none is configured. */
  readonly answers: OpenAnswers | null;
  readonly uploads: UploadLimits;
  readonly arriving: Arriving;
  readonly reads: Reads;
  /** Null when it is switched off. */
  readonly cache: RunCache | null;
  readonly limits: RateLimits;
  readonly waits: RunWaits;
  readonly metrics: Metrics;
  readonly redis: RedisWatch;
  readonly identify: (request: IncomingMessage, scheme?: Scheme) => Promise<Caller>;
  readonly logger: Logger;
  /** What takes longer is told of in the log, in milliseconds. */
  readonly slowMs: number;
  /** Aborted when the server begins to stop. */
  readonly closing: AbortSignal;
  /** The OpenAPI document, as JSON. */
  readonly openApi: string;
}

/** One body type of a request or an answer: a schema for JSON, a description for anything else. */
export type Content = Readonly<Record<string, z.ZodType | { readonly description: string }>>;

interface AnswerDescription {
  readonly description: string;
  readonly content?: Content;
}

interface Description<Path extends z.ZodObject, Query extends z.ZodObject> {
  readonly method: Method;
  /** As Express has it: `/books/:id`. */
  readonly path: string;
  readonly summary: string;
  /** A path that does not fit is a 404: such a thing cannot exist. */
  readonly pathSchema: Path;
  readonly querySchema: Query;
  readonly headers?: z.ZodObject;
  readonly request?: Content;
  /** What a request counts as, for users. Reads for `get`, else writes, unless told. */
  readonly limits?: readonly PolicyName[];
  readonly answers: Readonly<Record<number, AnswerDescription>>;
  /** Besides those that every route can answer. */
  readonly errors: readonly ErrorCode[];
  /** False for uploads, which take as long as they take. The handler then sees to it that the store is not waited for too long. */
  readonly hasDeadline?: false;
  /** By how many milliseconds the deadline is later, as the client asked to wait. */
  readonly longerMs?: (request: IncomingMessage) => number;
}

/** What a request asks, before anyone has looked at it. */
interface Call {
  readonly services: Services;
  readonly request: IncomingMessage;
  readonly record: RequestRecord;
  readonly path: unknown;
  readonly query: unknown;
  /** Null on public routes. */
  readonly caller: Caller | null;
}

export interface PublicContext<Path, Query> extends Omit<Call, "path" | "query" | "caller"> {
  readonly path: Path;
  readonly query: Query;
}

export interface UserContext<Path, Query> extends PublicContext<Path, Query> {
  readonly caller: Caller;
  readonly user: string;
}

/** A row of the table from which registration, validation, the OpenAPI document and half of the tests are made. */
export interface Route extends Description<z.ZodObject, z.ZodObject> {
  /** Method and path, in the log and in figures: `POST /runs`. */
  readonly name: string;
  readonly access: Access;
  readonly limits: readonly PolicyName[];
  /** May throw at once. */
  readonly answer: (call: Call) => Promise<Answer>;
}

/** A route that anyone may ask. */
export function publicRoute<Path extends z.ZodObject, Query extends z.ZodObject>(
  description: Description<Path, Query>,
  handle: (context: PublicContext<z.infer<Path>, z.infer<Query>>) => Promise<Answer>,
): Route {
  return routeOf("public", description, async (call) => await handle(checked(description, call)));
}

/** A route that needs a key. It sees what belongs to the key's user, and nothing else. */
export function userRoute<Path extends z.ZodObject, Query extends z.ZodObject>(
  description: Description<Path, Query>,
  handle: (context: UserContext<z.infer<Path>, z.infer<Query>>) => Promise<Answer>,
): Route {
  return routeOf("user", description, answerOfUser(description, handle));
}

/** A route that needs an admin's key, and is about the system and not about anyone's things. */
export function adminRoute<Path extends z.ZodObject, Query extends z.ZodObject>(
  description: Description<Path, Query>,
  handle: (context: UserContext<z.infer<Path>, z.infer<Query>>) => Promise<Answer>,
): Route {
  return routeOf("admin", description, answerOfUser(description, handle));
}

function routeOf<Path extends z.ZodObject, Query extends z.ZodObject>(
  access: Access,
  description: Description<Path, Query>,
  answer: Route["answer"],
): Route {
  const { method, path, limits = access === "public" ? [] : USUAL_LIMITS[method] } = description;
  return { ...description, name: `${method.toUpperCase()} ${path}`, access, limits, answer };
}

const USUAL_LIMITS: Readonly<Record<Method, readonly PolicyName[]>> = {
  get: ["reads"],
  post: ["writes"],
  delete: ["writes"],
};

function answerOfUser<Path extends z.ZodObject, Query extends z.ZodObject>(
  description: Description<Path, Query>,
  handle: (context: UserContext<z.infer<Path>, z.infer<Query>>) => Promise<Answer>,
): Route["answer"] {
  return (call) => {
    const { caller } = call;
    if (caller === null) throw new Error("A route for users was asked by nobody.");
    const { services, request, record, path, query } = checked(description, call);
    return handle({ services, request, record, path, query, caller, user: caller.user });
  };
}

/** For a route without parameters in its path, or without a query. */
export const NOTHING = z.object({});

function checked<Path extends z.ZodObject, Query extends z.ZodObject>(
  { pathSchema, querySchema }: Description<Path, Query>,
  call: Call,
): PublicContext<z.infer<Path>, z.infer<Query>> {
  const path = pathSchema.safeParse(call.path);
  if (!path.success)
    throw new Problem("not_found", path.error.issues[0]?.message ?? "There is no such thing.");
  const query = querySchema.safeParse(call.query);
  if (!query.success) {
    const errors = fieldErrors(query.error, "query");
    throw new Problem("invalid_request", "The query does not have the right shape.", { errors });
  }
  return { ...call, path: path.data, query: query.data };
}

import type { IncomingMessage } from "node:http";
import type { Submission } from "@mythic/runs";
import type { Logger } from "pino";
import { z } from "zod";
import type { Arriving } from "../arriving.ts";
import type { Caller, Scheme } from "../authenticate.ts";
import { type ErrorCode, Problem } from "../errors.ts";
import { fieldErrors } from "../field-errors.ts";
import type { UploadLimits } from "../limits.ts";
import type { RedisWatch } from "../redis-state.ts";
import type { Answer } from "../send.ts";

type Method = "get" | "post" | "delete";

/** Who may ask: everyone, whoever has a key, whoever has an admin's key. */
export type Access = "public" | "user" | "admin";

/** What routes work with. */
export interface Services extends Submission {
  /** The model that answers new runs; null for the offline methods. */
  readonly model: string | null;
  readonly limits: UploadLimits;
  readonly arriving: Arriving;
  readonly redis: RedisWatch;
  readonly identify: (request: IncomingMessage, scheme?: Scheme) => Promise<Caller>;
  readonly logger: Logger;
  readonly isClosing: () => boolean;
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
  readonly answers: Readonly<Record<number, AnswerDescription>>;
  /** Besides those that every route can answer. */
  readonly errors: readonly ErrorCode[];
  /** False for uploads, which take as long as they take. The handler then sees to it that the store is not waited for too long. */
  readonly hasDeadline?: false;
}

/** What a request asks, before anyone has looked at it. */
interface Call {
  readonly services: Services;
  readonly request: IncomingMessage;
  readonly requestId: string;
  /** Method and path as the table of routes has them: `POST /runs`. */
  readonly route: string;
  readonly path: unknown;
  readonly query: unknown;
  /** Null on public routes. */
  readonly caller: Caller | null;
  /** Adds to the log line of the request. */
  readonly note: (fields: { readonly run_id?: string; readonly book_id?: string }) => void;
}

export interface PublicContext<Path, Query> extends Omit<Call, "path" | "query" | "caller"> {
  readonly path: Path;
  readonly query: Query;
}

export interface UserContext<Path, Query> extends PublicContext<Path, Query> {
  readonly user: string;
}

/** A row of the table from which registration, validation, the OpenAPI document and half of the tests are made. */
export interface Route extends Description<z.ZodObject, z.ZodObject> {
  readonly access: Access;
  readonly answer: (call: Call) => Promise<Answer>;
}

/** A route that anyone may ask. */
export function publicRoute<Path extends z.ZodObject, Query extends z.ZodObject>(
  description: Description<Path, Query>,
  handle: (context: PublicContext<z.infer<Path>, z.infer<Query>>) => Promise<Answer>,
): Route {
  const answer = async (call: Call) => handle(checked(description, call));
  return { ...description, access: "public", answer };
}

/** A route that needs a key. It sees what belongs to the key's user, and nothing else. */
export function userRoute<Path extends z.ZodObject, Query extends z.ZodObject>(
  description: Description<Path, Query>,
  handle: (context: UserContext<z.infer<Path>, z.infer<Query>>) => Promise<Answer>,
): Route {
  const answer = async (call: Call) => {
    if (call.caller === null) throw new Error("A route for users was asked by nobody.");
    return await handle({ ...checked(description, call), user: call.caller.user });
  };
  return { ...description, access: "user", answer };
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

import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Logger } from "pino";

/** What is known of a request besides what it asks. */
export interface RequestRecord {
  /** Shown in `X-Request-Id`, in problems and in the log. */
  readonly id: string;
  /** Joined to the log line: whose request it was, and which run and book it was about. */
  readonly fields: Record<string, string>;
}

const records = new WeakMap<IncomingMessage, RequestRecord>();

/** Requests that come so often, and say so little, that they are shown from level `debug` on. */
const FREQUENT = /^\/(?:status|health)\//;
const MOST_PATH_LENGTH = 200;

/** The record of a request; a new one for a request that is seen for the first time. */
export function recordOf(request: IncomingMessage): RequestRecord {
  const known = records.get(request);
  if (known) return known;
  const record = { id: requestIdOf(request.headers["x-request-id"]), fields: {} };
  records.set(request, record);
  return record;
}

/** The id that the client gave when it can be one, else a new one. */
export function requestIdOf(given: string | string[] | undefined): string {
  return typeof given === "string" && /^[A-Za-z0-9._-]{1,64}$/.test(given) ? given : randomUUID();
}

/** Writes one line when the answer is out, or the client has gone. Nothing of bodies, queries or headers is in it. */
export function logRequest(request: IncomingMessage, response: ServerResponse, logger: Logger): void {
  const begun = performance.now();
  const path = (request.url ?? "").split("?")[0]?.slice(0, MOST_PATH_LENGTH) ?? "";
  response.once("close", () => {
    const { id, fields } = recordOf(request);
    const status = response.writableFinished ? response.statusCode : 499;
    const ms = Math.round((performance.now() - begun) * 10) / 10;
    const line = { req_id: id, method: request.method, path, status, ms, ...fields };
    if (FREQUENT.test(path) && status < 500) logger.debug(line, "request");
    else logger.info(line, "request");
  });
}

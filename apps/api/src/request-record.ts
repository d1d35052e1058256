import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";

/** Whose request it was, what it was about, and what went wrong. */
interface RequestFields {
  user?: string;
  run_id?: string;
  book_id?: string;
  code?: string;
}

/** What is known of a request besides what it asks. */
export class RequestRecord {
  /** Shown in `X-Request-Id`, in problems and in the log. */
  readonly id: string;
  /** Joined to the log line. */
  readonly fields: RequestFields = {};
  /** What the answer says besides of how it came about. */
  readonly headers: Record<string, string> = {};
  /** Method and path as the table of routes has them: `POST /runs`. */
  route = "none";
  /** How long it waited because the client asked for that, in milliseconds. */
  waitedMs = 0;
  readonly #begunAt = performance.now();
  #timing = "";

  constructor(id: string) {
    this.id = id;
  }

  /** How long it has taken so far, in milliseconds. */
  get ms(): number {
    return performance.now() - this.#begunAt;
  }

  /** What took how long, as the header `Server-Timing` has it. */
  get timing(): string {
    return `${this.#timing}total;dur=${rounded(this.ms)}`;
  }

  /** Notes how long a part of the work took, in milliseconds. */
  took(part: string, ms: number): void {
    this.#timing += `${part};dur=${rounded(ms)}, `;
  }

  /** Adds headers that are lists: those of one name are joined. */
  addHeaders(headers: Readonly<Record<string, string>>): void {
    for (const name in headers) {
      const known = this.headers[name];
      this.headers[name] = known === undefined ? `${headers[name]}` : `${known}, ${headers[name]}`;
    }
  }
}

function rounded(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}

const RECORD = Symbol("record");

/** A request that bears its record: to look that up elsewhere costs each request more than all of its counting. */
interface Recorded extends IncomingMessage {
  [RECORD]?: RequestRecord;
}

/** The record of a request; a new one for a request that is seen for the first time. */
export function recordOf(request: Recorded): RequestRecord {
  request[RECORD] ??= new RequestRecord(requestIdOf(request.headers["x-request-id"]));
  return request[RECORD];
}

/** The id that the client gave when it can be one, else a new one. */
export function requestIdOf(given: string | string[] | undefined): string {
  return typeof given === "string" && /^[A-Za-z0-9._-]{1,64}$/.test(given) ? given : randomUUID();
}

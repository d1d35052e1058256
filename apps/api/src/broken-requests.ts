import { type Server, type ServerResponse, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import type { Logger } from "pino";
import { ERRORS, type ErrorCode, Problem } from "./errors.ts";
import { problemBody } from "./report-error.ts";
import { requestIdOf } from "./request-record.ts";

const CODES: Readonly<Record<string, ErrorCode>> = {
  HPE_HEADER_OVERFLOW: "headers_too_large",
  ERR_HTTP_REQUEST_TIMEOUT: "request_timeout",
};

const DETAILS: Partial<Record<ErrorCode, string>> = {
  headers_too_large: "Send fewer or shorter headers.",
  request_timeout: "The request did not arrive in time.",
  method_not_allowed: "This server connects to no other.",
};

/** How long a client may take to read its answer and hang up. */
const LINGER_MS = 1_000;

/** Answers what Node's parser gives up on, before there is a request that the application could see. */
export function answerBrokenRequests(server: Server, logger: Logger): void {
  const due = new AnswersDue();
  const ended = new WeakSet<Duplex>();
  const end = (socket: Duplex, code: ErrorCode) => {
    if (!socket.writable) {
      socket.destroy();
      return;
    }
    const id = requestIdOf(undefined);
    logger.info({ req_id: id, status: ERRORS[code].status, code }, "broken request");
    socket.end(rawAnswer(code, id));
    const timer = setTimeout(() => socket.destroy(), LINGER_MS);
    socket.once("close", () => clearTimeout(timer));
  };
  server.on("request", (_request, response) => due.add(response));
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    // What else arrives on such a connection is broken, too.
    if (ended.has(socket)) return;
    const unfinished = due.unfinished(socket);
    if (error.code === "ECONNRESET" || !socket.writable || unfinished?.headersSent) {
      socket.destroy();
      return;
    }
    ended.add(socket);
    // The request whose body broke gets this answer instead of its own; those before it get theirs first.
    due.whenOut(socket, () => end(socket, CODES[error.code ?? ""] ?? "malformed_request"));
  });
  server.on("connect", (_request, socket) => {
    socket.on("error", () => socket.destroy());
    end(socket, "method_not_allowed");
  });
}

/** The last two answers of a connection, which come in the order of their requests. */
interface LastAnswers {
  last: ServerResponse;
  /** Null when there is none, or it is out. */
  before: ServerResponse | null;
}

/** The answers that a connection still waits for: more than one when requests came before the answer to the first. */
class AnswersDue {
  readonly #bySocket = new WeakMap<Duplex, LastAnswers>();

  add(response: ServerResponse): void {
    const { socket } = response.req;
    const answers = this.#bySocket.get(socket);
    if (answers === undefined) this.#bySocket.set(socket, { last: response, before: null });
    else {
      answers.before = answers.last.closed ? null : answers.last;
      answers.last = response;
    }
  }

  /** The one whose request has not arrived as a whole: always the last. */
  unfinished(socket: Duplex): ServerResponse | null {
    const last = this.#bySocket.get(socket)?.last ?? null;
    return last?.req.complete === false && !last.closed ? last : null;
  }

  /** Calls once all are out whose requests have arrived as a whole. */
  whenOut(socket: Duplex, then: () => void): void {
    const answers = this.#bySocket.get(socket);
    const due = this.unfinished(socket) === null ? answers?.last : answers?.before;
    if (due && !due.closed) due.once("close", then);
    else then();
  }
}

function rawAnswer(code: ErrorCode, requestId: string): string {
  const { status } = ERRORS[code];
  const problem = new Problem(code, DETAILS[code] ?? "The request cannot be understood.");
  const body = JSON.stringify(problemBody(problem, requestId));
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}`,
    "Content-Type: application/problem+json; charset=utf-8",
    `Content-Length: ${Buffer.byteLength(body)}`,
    `X-Request-Id: ${requestId}`,
    "X-Content-Type-Options: nosniff",
    ...(code === "method_not_allowed" ? ["Allow: GET, HEAD, POST, DELETE"] : []),
    "Connection: close",
    "",
    body,
  ].join("\r\n");
}

import { type Server, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import type { Logger } from "pino";
import { ERRORS, type ErrorCode, Problem } from "./errors.ts";
import { problemBody } from "./report-error.ts";
import { requestIdOf } from "./request-log.ts";

const CODES: Readonly<Record<string, ErrorCode>> = {
  HPE_HEADER_OVERFLOW: "headers_too_large",
  ERR_HTTP_REQUEST_TIMEOUT: "request_timeout",
};

const DETAILS: Partial<Record<ErrorCode, string>> = {
  headers_too_large: "Send fewer or shorter headers.",
  request_timeout: "The request did not arrive in time.",
};

/** Answers what Node's parser gives up on, before there is a request that the application could see. */
export function answerBrokenRequests(server: Server, logger: Logger): void {
  const answering = new WeakSet<Duplex>();
  server.on("request", (request, response) => {
    answering.add(request.socket);
    response.once("close", () => answering.delete(request.socket));
  });
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    // In the middle of an answer nothing can be said any more.
    if (error.code === "ECONNRESET" || !socket.writable || answering.has(socket)) {
      socket.destroy();
      return;
    }
    const code = CODES[error.code ?? ""] ?? "malformed_request";
    const id = requestIdOf(undefined);
    logger.info({ req_id: id, status: ERRORS[code].status, code }, "broken request");
    socket.end(rawAnswer(code, id));
  });
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
    "Connection: close",
    "",
    body,
  ].join("\r\n");
}

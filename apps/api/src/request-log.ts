import type { IncomingMessage, ServerResponse } from "node:http";
import type { Logger } from "pino";
import type { HttpFigures } from "./http-figures.ts";
import { recordOf } from "./request-record.ts";

export interface RequestLogOptions {
  readonly logger: Logger;
  readonly figures: HttpFigures;
  /** What takes longer is logged as a warning, in milliseconds. */
  readonly slowMs: number;
}

/** Requests that come so often, and say so little, that they are shown from level `debug` on. */
const FREQUENT = /^\/(?:status|health|metrics)(?:[/?]|$)/;
const MOST_PATH_LENGTH = 200;

/** Counts a request and writes one line when the answer is out, or the client has gone. Nothing of bodies, queries or headers is in it. */
export function logRequest(
  request: IncomingMessage,
  response: ServerResponse,
  options: RequestLogOptions,
): void {
  // Routers of routers take their part of it away.
  const { url = "" } = request;
  response.on("close", () => {
    const { logger, figures, slowMs } = options;
    const { id, fields, route, waitedMs, ms: allMs } = recordOf(request);
    const status = response.writableFinished ? response.statusCode : 499;
    const isSlow = allMs - waitedMs >= slowMs;
    figures.count({ route, status, ms: allMs - waitedMs, isSlow });
    const level = isSlow ? "warn" : FREQUENT.test(url) && status < 500 ? "debug" : "info";
    if (!logger.isLevelEnabled(level)) return;
    const path = pathOf(url);
    const ms = Math.round(allMs * 10) / 10;
    logger[level](
      { req_id: id, method: request.method, path, status, ms, ...fields },
      isSlow ? "slow request" : "request",
    );
  });
}

function pathOf(url: string): string {
  const end = url.indexOf("?");
  return url.slice(0, Math.min(end < 0 ? url.length : end, MOST_PATH_LENGTH));
}

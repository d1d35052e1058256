import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Metrics } from "./metrics.ts";

export interface HealthServerOptions {
  /** 0 for a free one. */
  readonly port: number;
  /** Rejects when the worker cannot work now. */
  readonly ready: () => Promise<void>;
  readonly metrics: Pick<Metrics, "type" | "text">;
}

export interface HealthServer extends AsyncDisposable {
  readonly port: number;
}

/**
 * The worker's own routes for an orchestrator: `/health/live`, `/health/ready` and `/metrics`. There are no keys here, and nothing but
 * sums to be seen.
 */
export async function startHealthServer({
  port,
  ready,
  metrics,
}: HealthServerOptions): Promise<HealthServer> {
  const server = createServer((request, response) => {
    const path = request.url ?? "";
    const answering = path === "/metrics" ? figures(metrics) : health(path, ready);
    void answering.then(({ status, type, body }) => {
      response.writeHead(status, { "content-type": type, "cache-control": "no-store" });
      response.end(body);
    });
  });
  server.listen(port);
  await once(server, "listening");
  const close = async () => {
    const closed = once(server, "close");
    server.close();
    // A connection over which nothing came would be waited for.
    server.closeAllConnections();
    await closed;
  };
  return { port: (server.address() as AddressInfo).port, [Symbol.asyncDispose]: close };
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

async function figures(metrics: HealthServerOptions["metrics"]): Promise<Answer> {
  return { status: 200, type: metrics.type, body: await metrics.text() };
}

async function health(path: string, ready: () => Promise<void>): Promise<Answer> {
  const [status, state] = await stateOf(path, ready);
  return { status, type: "application/json", body: JSON.stringify({ status: state }) };
}

async function stateOf(path: string, ready: () => Promise<void>): Promise<[number, string]> {
  if (path === "/health/live") return [200, "ok"];
  if (path !== "/health/ready") return [404, "not_found"];
  try {
    await ready();
    return [200, "ok"];
  } catch {
    return [503, "not_ready"];
  }
}

import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface HealthServerOptions {
  /** 0 for a free one. */
  readonly port: number;
  /** Rejects when the worker cannot work now. */
  readonly ready: () => Promise<void>;
}

export interface HealthServer extends AsyncDisposable {
  readonly port: number;
}

/** The worker's own routes for an orchestrator: `/health/live` and `/health/ready`. */
export async function startHealthServer({ port, ready }: HealthServerOptions): Promise<HealthServer> {
  const server = createServer((request, response) => {
    void answer(request.url ?? "", ready).then(([status, state]) => {
      response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
      response.end(JSON.stringify({ status: state }));
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

async function answer(url: string, ready: () => Promise<void>): Promise<[number, string]> {
  if (url === "/health/live") return [200, "ok"];
  if (url !== "/health/ready") return [404, "not_found"];
  try {
    await ready();
    return [200, "ok"];
  } catch {
    return [503, "not_ready"];
  }
}

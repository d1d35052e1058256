import { once } from "node:events";
import { createServer, type Server } from "node:http";

export interface HealthServerOptions {
  readonly port: number;
  /** Rejects when the worker cannot work now. */
  readonly ready: () => Promise<void>;
}

/** The worker's own routes for an orchestrator: `/health/live` and `/health/ready`. */
export async function startHealthServer({ port, ready }: HealthServerOptions): Promise<Server> {
  const server = createServer((request, response) => {
    void answer(request.url ?? "", ready).then(([status, state]) => {
      response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
      response.end(JSON.stringify({ status: state }));
    });
  });
  server.listen(port);
  await once(server, "listening");
  return server;
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

import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { text } from "node:stream/consumers";
import { removeAbandonedContainers } from "./docker.ts";
import { findMongo } from "./mongo.ts";
import { startRedis } from "./redis.ts";
import type { ServiceName, SharedService } from "./shared-services.ts";

/**
 * Runs in the process of the test run, once per workspace: starts a service when the first test file asks for it, hands the same
 * one to all others, says each line once that is sent by `POST /`, and stops all of them at `DELETE /`. A workspace that asks for nothing starts nothing.
 */
export async function openServiceHost(): Promise<{ readonly address: string }> {
  const services = new Map<ServiceName, Promise<SharedService>>();
  const told = new Set<string>();
  const stack = new AsyncDisposableStack();

  async function start(name: ServiceName): Promise<SharedService> {
    try {
      await removeAbandonedContainers().catch(() => undefined);
      const running = name === "redis" ? await startRedis() : await findMongo();
      if ("reason" in running) return { url: null, reason: running.reason };
      stack.use(running);
      return { url: running.url, reason: "" };
    } catch (error) {
      return { url: null, reason: error instanceof Error ? error.message : String(error) };
    }
  }

  function service(name: ServiceName): Promise<SharedService> {
    const known = services.get(name) ?? start(name);
    services.set(name, known);
    return known;
  }

  const server = createServer((request, response) => {
    // A connection kept open would keep the test run's process alive for seconds.
    response.setHeader("connection", "close");
    answer(request).then(
      (body) => response.end(JSON.stringify(body)),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });

  async function answer(request: IncomingMessage): Promise<SharedService | null> {
    if (request.method === "POST") {
      const line = await text(request);
      if (!told.has(line)) process.stderr.write(line);
      told.add(line);
      return null;
    }
    if (request.method === "DELETE") {
      await Promise.all(services.values());
      await stack.disposeAsync();
      server.close();
      return null;
    }
    return await service(request.url === "/mongo" ? "mongo" : "redis");
  }

  return { address: await listen(server) };
}

async function listen(server: Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  server.unref();
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The system gave no port.");
  return `http://127.0.0.1:${address.port}`;
}

import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import express from "express";
import { readSettings, takeOrders } from "../measuring/orders.ts";

/** A server that has one answer and nothing to do for it. */
export interface ServerSettings {
  readonly kind: "node:http" | "express";
  /** JSON. */
  readonly body: string;
}

export interface ServerOrders {
  address(order: null): Promise<{ readonly url: string }>;
}

const { kind, body } = readSettings<ServerSettings>();
const server = createServer(kind === "express" ? expressApp() : bareAnswer());
server.listen(0, "127.0.0.1");
await once(server, "listening");
const { port } = server.address() as AddressInfo;

await takeOrders<ServerOrders>({ address: async () => ({ url: `http://127.0.0.1:${port}/status` }) });

function bareAnswer(): RequestListener {
  const content = Buffer.from(body);
  const headers = { "content-type": "application/json; charset=utf-8", "content-length": content.length };
  return (_request, response) => {
    response.writeHead(200, headers);
    response.end(content);
  };
}

/** As in its documentation. */
function expressApp(): RequestListener {
  const value: unknown = JSON.parse(body);
  const app = express();
  app.get("/status", (_request, response) => {
    response.json(value);
  });
  return app;
}

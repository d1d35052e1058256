import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { openStore } from "@mythic/runs/store";
import { Redis } from "ioredis";
import { readSettings, takeOrders } from "../measuring/orders.ts";

/** The least that can answer polls out of the store: node:http and one read, no keys checked, no limits, no log. */
export interface StatusServerSettings {
  readonly dataDir: string;
  readonly mongodbUrl: string | null;
  readonly redisUrl: string;
  /** For how long what was read is kept in the process and in Redis. Null: not at all. */
  readonly keepMs: number | null;
  /** By what they send as `Authorization`. */
  readonly users: Readonly<Record<string, string>>;
}

export interface StatusServerOrders {
  address(order: null): Promise<{ readonly url: string }>;
}

const FIRST_PAGE = { limit: 50, after: null };

const { redisUrl, keepMs, users, ...options } = readSettings<StatusServerSettings>();
const store = await openStore(options);
const redis = new Redis(redisUrl);
const kept = new Map<string, { readonly json: string; readonly until: number }>();

const server = createServer((request, response) => {
  const { url = "", headers } = request;
  const user = users[headers.authorization ?? ""] ?? "";
  const answer = (json: string) => {
    response.writeHead(200, {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(json),
    });
    response.end(json);
  };
  const known = kept.get(url + user);
  if (known !== undefined && known.until > performance.now()) answer(known.json);
  else void (keepMs === null ? read(user, url) : readAndKeep(user, url, keepMs)).then(answer);
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
const { port } = server.address() as AddressInfo;

await takeOrders<StatusServerOrders>({ address: async () => ({ url: `http://127.0.0.1:${port}` }) });

async function readAndKeep(user: string, url: string, forMs: number): Promise<string> {
  const key = `status:${user}:${url}`;
  const json = (await redis.get(key)) ?? (await read(user, url));
  await redis.set(key, json, "PX", forMs);
  kept.set(url + user, { json, until: performance.now() + forMs });
  return json;
}

async function read(user: string, url: string): Promise<string> {
  const id = url.startsWith("/status/") ? url.slice("/status/".length) : null;
  return JSON.stringify(
    id === null ? await store.books.list(user, FIRST_PAGE) : await store.runs.get(user, id),
  );
}

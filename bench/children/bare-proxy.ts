import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import OpenAI from "openai";
import { readSettings, takeOrders } from "../measuring/orders.ts";

/** The least that passes calls on with the official SDK: it knows nobody, limits nobody, and writes nothing down. */
export interface BareProxySettings {
  readonly apiKey: string;
  readonly baseUrl: string;
}

export interface BareProxyOrders {
  address(order: null): Promise<{ readonly url: string }>;
}

const { apiKey, baseUrl } = readSettings<BareProxySettings>();
const client = new OpenAI({ apiKey, baseURL: baseUrl, maxRetries: 0 });
/** By the bodies of requests that ask for the same answer each time. */
const kept = new Map<string, string>();

const server = createServer((request, response) => {
  void answer(request).then((json) => {
    response.writeHead(200, {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(json),
    });
    response.end(json);
  });
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
const { port } = server.address() as AddressInfo;

await takeOrders<BareProxyOrders>({ address: async () => ({ url: `http://127.0.0.1:${port}` }) });

async function answer(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  const body = Buffer.concat(pieces).toString();
  const found = kept.get(body);
  if (found !== undefined) return found;
  const asked = JSON.parse(body) as OpenAI.ChatCompletionCreateParamsNonStreaming;
  const json = JSON.stringify(await client.chat.completions.create(asked));
  if (asked.temperature === 0) kept.set(body, json);
  return json;
}

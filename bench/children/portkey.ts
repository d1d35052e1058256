import { hash } from "node:crypto";
import { registerHooks } from "node:module";

// Portkey's gateway as npm has it, on the port that it is given. Its build leaves the cache of its source out and keeps the hooks for one; what
// is put in there does the least that a cache can: a digest of the body, and a Map.

const SERVER = import.meta.resolve("@portkey-ai/gateway/build/start-server.js");
/** The first of its routes. */
const ROUTE = /(\w+)\.get\("\/",/;

/** What is used of Hono's context. */
interface Context {
  set(name: string, value: unknown): void;
  get(name: string): unknown;
}

interface Exchange {
  readonly cacheMode?: string;
  readonly requestParams: unknown;
  readonly providerOptions: { readonly rubeusURL: string };
  readonly response: Response;
}

const kept = new Map<string, string>();
const keyOf = (body: unknown, endpoint: string) => hash("sha256", `${JSON.stringify(body)} ${endpoint}`);

async function cache(context: Context, next: () => Promise<void>): Promise<void> {
  context.set("getFromCache", async (_env: unknown, _headers: unknown, body: unknown, endpoint: string) => {
    const key = keyOf(body, endpoint);
    const answer = kept.get(key);
    return answer === undefined ? [null, "MISS", null] : [answer, "HIT", key];
  });
  await next();
  const [exchange] = (context.get("requestOptions") ?? []) as readonly Exchange[];
  if (exchange?.cacheMode !== "simple" || !exchange.response.ok) return;
  const { requestParams, providerOptions, response } = exchange;
  kept.set(keyOf(requestParams, providerOptions.rubeusURL), await response.text());
}

Object.assign(globalThis, { benchCache: cache });
registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    if (url !== SERVER) return loaded;
    const source = String(loaded.source);
    if (!ROUTE.test(source)) throw new Error("This is another Portkey than the one that is known here.");
    return { ...loaded, source: source.replace(ROUTE, `$1.use("*", globalThis.benchCache),$&`) };
  },
});
await import(SERVER);

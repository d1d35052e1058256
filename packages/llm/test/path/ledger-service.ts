import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import type { Ledger } from "../../src/ledger.ts";
import type { MemoryLedger } from "../memory-ledger.ts";

type Method = keyof Ledger;

/** What a process asks of the ledger, before it is done or after, until it is let go on. */
export interface Halt {
  readonly method: Method;
  readonly when: "before" | "after";
}

/** A ledger that processes reach over HTTP, and that stops one of them where a test wants to kill it. */
export interface LedgerService extends AsyncDisposable {
  readonly url: string;
  /** Resolves when somebody has come to this point, who gets no reply from then on. Others pass. */
  haltOnce(halt: Halt): Promise<void>;
}

/** Serves a ledger for as long as a test takes. */
export async function serveLedger(ledger: MemoryLedger): Promise<LedgerService> {
  let halt: (Halt & { readonly reached: () => void }) | null = null;

  function halts(method: Method, when: Halt["when"]): boolean {
    if (halt?.method !== method || halt.when !== when) return false;
    halt.reached();
    halt = null;
    return true;
  }

  async function call(method: Method, args: readonly unknown[]): Promise<unknown> {
    // Both sides of the wire are of this folder.
    return await (ledger[method] as (...all: readonly unknown[]) => Promise<unknown>).apply(ledger, [
      ...args,
    ]);
  }

  async function reply(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method, args } = JSON.parse(await text(request), reviveDates) as {
      readonly method: Method;
      readonly args: readonly unknown[];
    };
    if (halts(method, "before")) return;
    try {
      const value = await call(method, args);
      if (halts(method, "after")) return;
      response.end(JSON.stringify({ value: value ?? null }));
    } catch (error) {
      response.statusCode = 500;
      response.end(String(error));
    }
  }

  // A request that breaks off is one of a process that was killed.
  const server = createServer((request, response) => void reply(request, response).catch(() => undefined));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("There is no port.");
  return {
    url: `http://127.0.0.1:${address.port}/`,
    async haltOnce(wanted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      halt = { ...wanted, reached: resolve };
      await promise;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** The ledger behind a URL. */
export function remoteLedger(url: string): Ledger {
  const call = async (method: Method, args: readonly unknown[]): Promise<never> => {
    const response = await fetch(url, { method: "POST", body: JSON.stringify({ method, args }) });
    const reply = await response.text();
    if (!response.ok) throw new Error(reply);
    return (JSON.parse(reply, reviveDates) as { readonly value: never }).value;
  };
  return {
    open: async (...args) => await call("open", args),
    settle: async (...args) => await call("settle", args),
    findAnswer: async (...args) => await call("findAnswer", args),
    spent: async (...args) => await call("spent", args),
    spentOn: async (...args) => await call("spentOn", args),
    countSaved: async (...args) => await call("countSaved", args),
  };
}

function reviveDates(_name: string, value: unknown): unknown {
  const isDate = typeof value === "string" && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value);
  return isDate ? new Date(value) : value;
}

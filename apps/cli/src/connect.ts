import { CliError, EXIT } from "./cli-error.ts";
import { Client } from "./client.ts";
import { type CliConfig, readCliConfig } from "./config.ts";
import type { Terminal } from "./terminal.ts";

export interface ServerOptions {
  readonly server?: string;
  readonly key?: string;
}

/** What a command talks to: a server that is running, or one that it has started inside itself. */
export interface Connection extends AsyncDisposable {
  readonly client: Client;
  /** Null when the server is someone else's. */
  readonly embedded: {
    /** From now on only steps of this book are worked on. */
    focus(bookId: string): void;
    /** Name of the model that answers; null for the offline methods. */
    readonly model: string | null;
  } | null;
}

/** `work` says whether an embedded server needs a worker, or only answers what is stored. */
export async function connect(
  terminal: Terminal,
  options: ServerOptions,
  { work }: { readonly work: boolean },
): Promise<Connection> {
  const config = readCliConfig(terminal.environment);
  const server = options.server ?? config.server;
  if (server !== null) {
    requireAddress(server);
    const key = options.key ?? config.key;
    const client = new Client({ server, key, signal: terminal.interruption });
    return { client, embedded: null, [Symbol.asyncDispose]: async () => undefined };
  }
  return await connectEmbedded(terminal, config, work);
}

/** `MYTHIC_SERVER` was checked with the other settings; the option was not. */
function requireAddress(server: string): void {
  // `localhost:3000` alone is a URL too, of the scheme `localhost`.
  if (/^https?:$/.test(URL.parse(server)?.protocol ?? "")) return;
  throw new CliError("--server needs an address such as http://127.0.0.1:3000.", { exitCode: EXIT.usage });
}

async function connectEmbedded(terminal: Terminal, config: CliConfig, work: boolean): Promise<Connection> {
  // The API and the worker are loaded only when they are needed: talking to a server takes neither.
  const { startEmbedded } = await import("./embedded.ts");
  const stack = await startEmbedded(config, { work });
  const client = new Client({ server: stack.url, key: stack.key, signal: terminal.interruption });
  return {
    client,
    embedded: { focus: (bookId) => stack.focus(bookId), model: config.answers.model },
    [Symbol.asyncDispose]: () => stack.close(),
  };
}

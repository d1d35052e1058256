import { createSealer } from "@mythic/llm";
import type { Store } from "@mythic/runs";
import { announceChanges, openCaching } from "@mythic/runs/cache";
import { openStore } from "@mythic/runs/store";
import type { Logger } from "pino";
import type { CliConfig } from "./config.ts";

/** How long a command waits for the cache: it may have ended before Redis could be told of what it changed. */
const CACHE_PATIENCE_MS = 1_000;

export interface StorePlace {
  /** Null for SQLite. */
  readonly mongodbUrl: string | null;
  readonly dataDir: string;
}

export interface OpenedStore extends AsyncDisposable {
  readonly store: Store;
}

/** Opens the store for a command. A server may work on the same one, and hears by the cache of what changes here. */
export async function openStoreFor(
  place: StorePlace,
  { cache: config, answers }: Pick<CliConfig, "cache" | "answers">,
  log: Logger,
): Promise<OpenedStore> {
  await using stack = new AsyncDisposableStack();
  const opened = stack.use(await openStore({ ...place, sealer: createSealer(answers.encryptionKeys) }));
  const { cache } = stack.use(await openCaching({ config, store: place, log, reads: false }));
  await cache?.ready(CACHE_PATIENCE_MS);
  const held = stack.move();
  return { store: announceChanges(opened, cache), [Symbol.asyncDispose]: () => held.disposeAsync() };
}

import type { Sealer } from "../ledger.ts";
import type { Store } from "../store.ts";

export type { Sealer } from "../ledger.ts";
export { StoreVersionError } from "./store-version-error.ts";

export interface OpenStoreOptions {
  /** With it the store is MongoDB. */
  readonly mongodbUrl?: string | null;
  /** Without a URL the store is one SQLite file in this directory, which is made when it is missing. */
  readonly dataDir: string;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  /** Seals the texts of answers in the ledger. Without it they are kept as they are. */
  readonly sealer?: Sealer | null;
}

/**
 * Opens the store that the configuration names, and takes its schema to the version of this program. Throws
 * `StoreVersionError` when a newer program wrote it and `StoreUnavailableError` when it cannot be reached.
 */
export async function openStore(options: OpenStoreOptions): Promise<Store> {
  const common = { ...(options.now && { now: options.now }), sealer: options.sealer ?? null };
  // Only the driver of the store in use is loaded.
  if (options.mongodbUrl) {
    const { openMongoStore } = await import("./mongo/open-mongo-store.ts");
    return await openMongoStore({ url: options.mongodbUrl, ...common });
  }
  const { openSqliteStore } = await import("./sqlite/open-sqlite-store.ts");
  return await openSqliteStore({ directory: options.dataDir, ...common });
}

import { stat } from "node:fs/promises";
import { join } from "node:path";

/** Which store a process works on. */
export interface StorePlace {
  readonly mongodbUrl?: string | null;
  readonly dataDir: string;
}

/**
 * What the keys of a store's cache begin with: `mythic` for MongoDB; for SQLite also a mark of its file, as each machine has its own
 * and all of them have a user `local`. Whatever path leads to the file, the mark is the same. The store has to be open.
 */
export async function cacheNamespace({ mongodbUrl, dataDir }: StorePlace): Promise<string> {
  if (mongodbUrl) return "mythic";
  const { ino, birthtimeMs } = await stat(join(dataDir, "mythic.db"));
  return `mythic-${ino.toString(36)}-${Math.round(birthtimeMs).toString(36)}`;
}

import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { TestApi } from "./test-api.ts";

/** Files in the store, books or not. */
export function filesOf({ directory }: TestApi): number {
  const database = new DatabaseSync(join(directory, "mythic.db"), { readOnly: true });
  try {
    const row = database.prepare("SELECT count(*) AS files FROM book_files").get();
    return Number(row?.["files"]);
  } finally {
    database.close();
  }
}

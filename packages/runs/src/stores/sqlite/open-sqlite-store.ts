import { mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import type { Sealer } from "../../ledger.ts";
import { type Store, StoreUnavailableError } from "../../store.ts";
import { LedgerTexts } from "../ledger-texts.ts";
import { SqliteBooks } from "./books.ts";
import { Database } from "./database.ts";
import { SqliteDispatch } from "./dispatch.ts";
import { SqliteKeys } from "./keys.ts";
import { SqliteLedger } from "./ledger.ts";
import { SqliteReplies } from "./replies.ts";
import { SqliteRuns } from "./runs.ts";
import { MIGRATIONS, migrate } from "./schema.ts";
import { SqliteSecrets } from "./secrets.ts";
import { SqliteSteps } from "./steps.ts";

/** What does not answer a ping in this time counts as gone; short of the two seconds that a ping may take. */
const PING_MS = 1_500;

export interface SqliteStoreOptions {
  /** Made when it is missing, for its owner alone. */
  readonly directory: string;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  readonly sealer?: Sealer | null;
  /** Another schema than this program's, for tests of migrations. */
  readonly migrations?: readonly string[];
}

/**
 * Opens the store in `mythic.db`, which any number of processes of one machine may share, and migrates it. Throws
 * `StoreVersionError` when a newer program wrote it.
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  const { directory, now = Date.now, sealer = null, migrations = MIGRATIONS } = options;
  const path = join(directory, "mythic.db");
  await makeFile(directory, path);
  const database = await Database.open(path);
  try {
    await migrate(database, migrations);
  } catch (error) {
    await database[Symbol.asyncDispose]();
    throw error;
  }
  return {
    kind: "sqlite",
    books: new SqliteBooks(database, now),
    runs: new SqliteRuns(database),
    steps: new SqliteSteps(database, now),
    ledger: new SqliteLedger(database, now, new LedgerTexts(sealer)),
    keys: new SqliteKeys(database, now),
    replies: new SqliteReplies(database, now),
    secrets: new SqliteSecrets(database, now),
    dispatch: new SqliteDispatch(database, now),
    async ping() {
      await database.read((statements) => statements.get("SELECT value FROM meta"), PING_MS);
    },
    async [Symbol.asyncDispose]() {
      await database[Symbol.asyncDispose]();
    },
  };
}

/** The file holds books and answers of all users, so nobody else may read it; what SQLite adds beside it inherits that. */
async function makeFile(directory: string, path: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await (await open(path, "a", 0o600)).close();
  } catch (error) {
    throw new StoreUnavailableError("The data directory cannot be written to.", { cause: error });
  }
}

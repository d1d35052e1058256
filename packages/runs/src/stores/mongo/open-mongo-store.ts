import type { Sealer } from "../../ledger.ts";
import type { Store } from "../../store.ts";
import { LedgerTexts } from "../ledger-texts.ts";
import { MongoBooks } from "./books.ts";
import { Connection, type ConnectionOptions } from "./connection.ts";
import { MongoDispatch } from "./dispatch.ts";
import { MongoKeys } from "./keys.ts";
import { MongoLedger } from "./ledger.ts";
import { migrate } from "./migrations.ts";
import { MongoReplies } from "./replies.ts";
import { MongoRuns } from "./runs.ts";
import { MongoSecrets } from "./secrets.ts";
import { MongoSteps } from "./steps.ts";

export interface MongoStoreOptions extends Pick<ConnectionOptions, "url" | "database" | "now"> {
  readonly sealer?: Sealer | null;
}

/**
 * Opens the store on a MongoDB server, standalone or a replica set: every write that counts is one document, acknowledged by
 * the majority and in the journal. Makes or migrates what is missing first. Rejects with a `StoreUnavailableError` within
 * 5 seconds when the server does not answer, and with a `StoreVersionError` when a newer program was here.
 */
export async function openMongoStore(options: MongoStoreOptions): Promise<Store> {
  await prepare(options);
  const connection = await Connection.open(options);
  return {
    kind: "mongodb",
    books: new MongoBooks(connection),
    runs: new MongoRuns(connection),
    steps: new MongoSteps(connection),
    ledger: new MongoLedger(connection, new LedgerTexts(options.sealer ?? null)),
    keys: new MongoKeys(connection),
    replies: new MongoReplies(connection),
    secrets: new MongoSecrets(connection),
    dispatch: new MongoDispatch(connection),
    ping: () => connection.ping(),
    [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose](),
  };
}

/** On a connection of its own, whose sockets wait as long as a large index takes, and always by the server's clock. */
async function prepare({ url, database }: MongoStoreOptions): Promise<void> {
  await using connection = await Connection.open({ url, database, socketMs: 0 });
  await migrate(connection);
}

import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Collection } from "mongodb";
import { z } from "zod";
import { StoreUnavailableError } from "../../store.ts";
import { StoreVersionError } from "../store-version-error.ts";
import { type Connection, isDuplicate } from "./connection.ts";
import { createIndexes } from "./indexes.ts";
import { ledgerToVersion2 } from "./ledger-to-version-2.ts";

/** Takes what is stored from the version before it to its own. Stopped anywhere, it can be begun again. */
export type Migration = (connection: Connection) => Promise<void>;

/** The first takes version 1 to version 2. */
const MIGRATIONS: readonly Migration[] = [ledgerToVersion2];

/** One process migrates; its lease is renewed while it does. */
const LEASE_MS = 30_000;
const RENEW_MS = 5_000;
/** How often another looks whether it is done, and for how long. */
const LOOK_EVERY_MS = 100;
const WAIT_MS = 120_000;

const schema = z.object({
  _id: z.literal("schema"),
  /** 0: nothing is there yet. */
  version: z.number(),
  owner: z.string().nullable(),
  leaseUntil: z.date(),
});

export type SchemaDocument = z.infer<typeof schema>;

export function schemaIn(connection: Connection): Collection<SchemaDocument> {
  return connection.db.collection<SchemaDocument>("schema");
}

/**
 * Takes the database to the version of this program before anything else reads it: under a lease, so that of many processes
 * that start at once one does it and the others wait. Throws a `StoreVersionError` when a newer program was here.
 */
export async function migrate(
  connection: Connection,
  migrations: readonly Migration[] = MIGRATIONS,
): Promise<void> {
  const target = migrations.length + 1;
  const owner = randomUUID();
  const giveUpAt = performance.now() + WAIT_MS;
  while ((await storedVersion(connection, target)) < target) {
    if (await takeLease(connection, owner)) await migrateUnderLease(connection, { owner, migrations });
    else await delay(LOOK_EVERY_MS);
    if (performance.now() > giveUpAt) {
      throw new StoreUnavailableError("Another process is still migrating the database.");
    }
  }
  // Also when nothing changed: an index that someone dropped comes back.
  await createIndexes(connection);
}

async function storedVersion(connection: Connection, target: number): Promise<number> {
  const found = await connection.run((options) => schemaIn(connection).findOne({ _id: "schema" }, options));
  const version = found ? schema.parse(found).version : 0;
  if (version > target) throw new StoreVersionError(version, target);
  return version;
}

async function takeLease(connection: Connection, owner: string): Promise<boolean> {
  try {
    const { matchedCount, upsertedCount } = await connection.run(() =>
      schemaIn(connection).updateOne(
        { _id: "schema", leaseUntil: { $lt: connection.now() } },
        { $set: { owner, leaseUntil: connection.ago(-LEASE_MS) }, $setOnInsert: { version: 0 } },
        { upsert: true },
      ),
    );
    return matchedCount + upsertedCount > 0;
  } catch (error) {
    // The row is there and someone else's lease holds.
    if (isDuplicate(error)) return false;
    throw error;
  }
}

async function migrateUnderLease(
  connection: Connection,
  { owner, migrations }: { readonly owner: string; readonly migrations: readonly Migration[] },
): Promise<void> {
  const renewal = setInterval(() => {
    // A renewal that fails is followed by another, and the lease outlives several.
    setSchema(connection, owner, { leaseUntil: connection.ago(-LEASE_MS) }).catch(() => undefined);
  }, RENEW_MS);
  try {
    for (;;) {
      const version = await storedVersion(connection, migrations.length + 1);
      if (version > migrations.length) return;
      if (version === 0) {
        await createIndexes(connection);
        await setSchema(connection, owner, { version: migrations.length + 1 });
        return;
      }
      await migrations[version - 1]?.(connection);
      await setSchema(connection, owner, { version: version + 1 });
    }
  } finally {
    clearInterval(renewal);
    await setSchema(connection, owner, { owner: null, leaseUntil: new Date(0) });
  }
}

/** Changes the row while the lease is ours. */
async function setSchema(
  connection: Connection,
  owner: string,
  change: Partial<Omit<SchemaDocument, "_id">>,
): Promise<void> {
  const { matchedCount } = await connection.run(() =>
    schemaIn(connection).updateOne({ _id: "schema", owner }, { $set: change }),
  );
  if (matchedCount === 0) throw new StoreUnavailableError("The lease of the migration was lost.");
}

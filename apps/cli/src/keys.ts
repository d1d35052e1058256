import { makeApiKey } from "@mythic/api/api-key";
import { type Role, type Store, StoreUnavailableError } from "@mythic/runs";
import { pino } from "pino";
import { CliError, EXIT } from "./cli-error.ts";
import { readCliConfig } from "./config.ts";
import { openStoreFor } from "./open-store.ts";
import { printable, type Terminal, table } from "./terminal.ts";

/** What names a user: it stands in logs and lists. */
const USER = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/;

/** Opens the configured store for one piece of work. */
export async function withStore(terminal: Terminal, work: (store: Store) => Promise<void>): Promise<void> {
  const config = readCliConfig(terminal.environment);
  const log = pino({ name: "mythic", level: config.logLevel }, process.stderr);
  try {
    await using opened = await openStoreFor(config, config, log);
    await work(opened.store);
  } catch (error) {
    if (!(error instanceof StoreUnavailableError)) throw error;
    throw new CliError("The store cannot be reached.", { cause: error });
  }
}

/** Makes a key and prints it alone. */
export async function createKey(
  store: Store,
  terminal: Terminal,
  { user, role }: { readonly user: string; readonly role: Role },
): Promise<void> {
  if (!USER.test(user)) {
    const rule = "letters, digits and . _ @ - only, at most 64 of them, a letter or digit first";
    throw new CliError(`--user needs a name of ${rule}.`, { exitCode: EXIT.usage });
  }
  const { key, id, sha256, lastFour } = makeApiKey();
  await store.keys.create({ id, user, role, sha256, lastFour, createdAt: new Date(), revokedAt: null });
  terminal.out(`${key}\n`);
  terminal.err(`${id} opens what is ${user}'s, as ${role}. It is shown this once.\n`);
}

export async function listKeys(store: Store, terminal: Terminal): Promise<void> {
  const keys = await store.keys.list();
  const rows = keys.map((key) => [
    key.id,
    printable(key.user),
    key.role,
    `…${key.lastFour}`,
    key.createdAt.toISOString(),
    key.revokedAt?.toISOString() ?? "",
  ]);
  terminal.out(
    rows.length === 0
      ? "No keys.\n"
      : table([["KEY", "USER", "ROLE", "ENDS IN", "MADE", "REVOKED"], ...rows]),
  );
}

export async function revokeKey(store: Store, terminal: Terminal, id: string): Promise<void> {
  if (!(await store.keys.revoke(id))) throw new CliError(`There is no key ${printable(id)}.`);
  terminal.out(`${printable(id)} revoked\n`);
}

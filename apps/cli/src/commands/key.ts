import type { Role } from "@mythic/runs";
import { type Command, Option } from "commander";
import type { Terminal } from "../terminal.ts";

interface CreateOptions {
  readonly user: string;
  readonly role: Role;
}

/** The store is loaded only when a key is asked for: the other commands start sooner without it. */
const loadKeys = () => import("../keys.ts");

export function addKey(program: Command, terminal: Terminal): void {
  const key = program
    .command("key")
    .description("make, list and revoke API keys, in the store that MONGODB_URL or MYTHIC_DATA_DIR names");
  key
    .command("create")
    .description("make a key and print it, alone and once")
    .requiredOption("--user <name>", "whose books and runs it opens")
    .addOption(new Option("--role <role>", "what it may do").choices(["user", "admin"]).default("user"))
    .action(async (options: CreateOptions) => {
      const { createKey, withStore } = await loadKeys();
      await withStore(terminal, (store) => createKey(store, terminal, options));
    });
  key
    .command("list")
    .description("list all keys")
    .action(async () => {
      const { listKeys, withStore } = await loadKeys();
      await withStore(terminal, (store) => listKeys(store, terminal));
    });
  key
    .command("revoke")
    .description("close a key for good")
    .argument("<id>", "as `key list` shows it")
    .action(async (id: string) => {
      const { revokeKey, withStore } = await loadKeys();
      await withStore(terminal, (store) => revokeKey(store, terminal, id));
    });
}

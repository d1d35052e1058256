import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "@jest/globals";
import { openStore } from "../../src/stores/open-store.ts";
import { describeStore } from "../stores/store.suite.ts";
import { openProcesses } from "./processes.ts";

const stack = new AsyncDisposableStack();
const base = await mkdtemp(join(tmpdir(), "mythic-announcing-"));
afterAll(async () => {
  await stack.disposeAsync();
  await rm(base, { recursive: true });
});
let serial = 0;

// Whoever is composed with the cache has the same store as before.
describeStore("sqlite", async (options = {}) => {
  const dataDir = join(base, String(++serial));
  const store = await openStore({ dataDir, ...options });
  const [process] = await openProcesses(stack, { count: 1, redisUrl: null, store });
  return { store: process?.store ?? store, spawnArgs: ["", dataDir] };
});

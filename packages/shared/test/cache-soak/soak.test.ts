import { expect, test } from "@jest/globals";
import { startProcess } from "@mythic/testing/process";

const SECONDS = 20;
/** Starting, and what is under way at the end. */
const MORE_MS = 20_000;

test(
  "four processes under random faults serve nothing for longer than the bound after its change was acknowledged",
  async () => {
    const program = new URL("main.ts", import.meta.url).pathname;
    await using soak = await startProcess(program, { args: ["--seconds", String(SECONDS)] });
    const exitCode = await soak.ended(SECONDS * 1_000 + MORE_MS);
    expect(soak.lines.join("\n")).toContain("All is well.");
    expect(exitCode).toBe(0);
  },
  SECONDS * 1_000 + 2 * MORE_MS,
);

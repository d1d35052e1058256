import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openTerminal } from "./open-terminal.ts";
import { runProgram } from "./program.ts";

/**
 * Makes key passages of the sample book, without a model and without any service whatever the environment holds, and shows how
 * they begin. Data goes to a folder that is removed again, so that each demo does all of the work.
 */
const SAMPLES = join(import.meta.dirname, "../../../packages/testing/sample-book");
const LINES_SHOWN = 40;

const data = await mkdtemp(join(tmpdir(), "mythic-demo-"));
try {
  const sample = (await readdir(SAMPLES)).find((name) => name.endsWith(".epub"));
  const written: string[] = [];
  const terminal = {
    ...openTerminal({ MYTHIC_DATA_DIR: data }),
    out: (text: string) => void written.push(text.trim()),
  };
  process.exitCode = await runProgram(["process", join(SAMPLES, sample ?? "")], terminal);
  const markdown = written.find((path) => path.endsWith(".md"));
  if (markdown !== undefined) {
    const lines = (await readFile(markdown, "utf8")).trimEnd().split("\n");
    const more = lines.length > LINES_SHOWN ? [`… and ${lines.length - LINES_SHOWN} lines more.`] : [];
    const shown = [
      "",
      ...lines.slice(0, LINES_SHOWN),
      ...more,
      "",
      "Written:",
      ...written.map((path) => `  ${path}`),
    ];
    process.stdout.write(`${shown.join("\n")}\n`);
  }
} finally {
  await rm(data, { recursive: true, force: true });
}

import { ConfigurationError } from "@mythic/llm";
import { SettingsError } from "@mythic/runs/settings";
import { Command, CommanderError } from "commander";
import { CliError, EXIT } from "./cli-error.ts";
import { addBooks } from "./commands/books.ts";
import { addCache } from "./commands/cache.ts";
import { addCancel } from "./commands/cancel.ts";
import { addKey } from "./commands/key.ts";
import { addProcess } from "./commands/process.ts";
import { addResult } from "./commands/result.ts";
import { addRetry } from "./commands/retry.ts";
import { addRuns } from "./commands/runs.ts";
import { addServe } from "./commands/serve.ts";
import { addStatus } from "./commands/status.ts";
import { addUsage } from "./commands/usage.ts";
import { printable, type Terminal } from "./terminal.ts";

/** Runs one command line (without the program's own name) and answers its exit code. Never rejects. */
export async function runProgram(words: readonly string[], terminal: Terminal): Promise<number> {
  const end: { code: number } = { code: EXIT.done };
  const program = buildProgram(terminal, (code) => {
    end.code = code;
  });
  try {
    await program.parseAsync(words, { from: "user" });
    return end.code;
  } catch (error) {
    return explain(error, terminal);
  }
}

function buildProgram(terminal: Terminal, ended: (code: number) => void): Command {
  const program = new Command("mythic");
  // Commands made below inherit these.
  program
    .exitOverride()
    .configureOutput({
      writeOut: terminal.out,
      writeErr: terminal.err,
      getOutHelpWidth: () => terminal.columns,
    })
    .showHelpAfterError("Add --help to see how it is used.");
  program
    .description("Turns books into study material, and never pays twice for the same answer.")
    .addHelpText(
      "after",
      `
Begin with a book:
  mythic process book.epub
  mythic process book.epub --out ~/study --max-cost 0.50

The other commands show and steer what is there: on the server that --server or MYTHIC_SERVER names, else on this machine.`,
    );
  addProcess(program, terminal, ended);
  addStatus(program, terminal);
  addResult(program, terminal);
  addRuns(program, terminal);
  addBooks(program, terminal);
  addCancel(program, terminal);
  addRetry(program, terminal, ended);
  addUsage(program, terminal);
  addCache(program, terminal);
  addServe(program, terminal);
  addKey(program, terminal);
  return program;
}

/** Says in one sentence what went wrong, and answers the exit code. */
function explain(error: unknown, terminal: Terminal): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  if (error instanceof CliError) {
    terminal.err(`mythic: ${error.message}\n`);
    return error.exitCode;
  }
  if (error instanceof SettingsError || error instanceof ConfigurationError) {
    terminal.err(`mythic: these settings cannot be used:\n${error.message}\n`);
    return EXIT.usage;
  }
  if (terminal.interruption.aborted) {
    terminal.err("Interrupted.\n");
    return EXIT.interrupted;
  }
  const message = error instanceof Error ? error.message : String(error);
  terminal.err(`mythic: ${printable(message)}\n`);
  if (terminal.environment["LOG_LEVEL"] === "debug" && error instanceof Error)
    terminal.err(`${error.stack}\n`);
  return EXIT.failed;
}

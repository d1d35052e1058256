import { stat } from "node:fs/promises";
import type { Command } from "commander";
import { CliError, EXIT } from "../cli-error.ts";
import type { Client, NewRun } from "../client.ts";
import { type Connection, connect, type ServerOptions } from "../connect.ts";
import { dollars, nanoDollars } from "../money.ts";
import { serverOptions } from "../server-options.ts";
import { printable, type Terminal } from "../terminal.ts";
import { watchRun } from "../watch-run.ts";
import type { WireBook, WireRun } from "../wire.ts";
import { readWholeResult, writeResult } from "../write-result.ts";

interface ProcessOptions extends ServerOptions {
  readonly recipes: string;
  readonly out: string;
  readonly json?: boolean;
  readonly fresh?: boolean;
  readonly flex?: boolean;
  readonly maxCost?: string;
}

const LIVE = "queued,running";
const HALF_CONFIGURED =
  "No model was asked: that takes MYTHIC_MODEL, and OPENAI_API_KEY or OPENAI_BASE_URL, where the worker runs.";

export function addProcess(program: Command, terminal: Terminal, ended: (code: number) => void): void {
  const command = program
    .command("process")
    .description("make study material of a book")
    .argument("<file>", "an EPUB or a plain text")
    .option("--recipes <names>", "what to make, separated by commas", "summary")
    .option("--out <dir>", "folder that gets a folder per book", "mythic-output")
    .option("--json", "print the result alone, as JSON, and write no files")
    .option("--fresh", "ask the model anew instead of reusing answers that were paid for")
    .option("--flex", "ask at the provider's lower price for answers that may take minutes")
    .option("--max-cost <usd>", "stop before the model has cost more than this")
    .addHelpText(
      "after",
      `
Without --server everything happens on this machine, and nothing needs to be running. A model is asked when MYTHIC_MODEL
and OPENAI_API_KEY or OPENAI_BASE_URL are set; else the key passages of the book are found without one.

Ctrl-C keeps what is done: the same command goes on from there.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 partly done, 130 interrupted.`,
    )
    .action(async (file: string, options: ProcessOptions) => {
      ended(await processBook(terminal, file, options));
    });
  serverOptions(command);
}

async function processBook(terminal: Terminal, file: string, options: ProcessOptions): Promise<number> {
  const wanted = {
    recipes: namesOf(options.recipes),
    maxCost: maxCostOf(options.maxCost),
    fresh: options.fresh ?? false,
    flex: options.flex ?? false,
  };
  await requireFile(file);
  await using connection = await connect(terminal, options, { work: true });
  const { client, embedded } = connection;
  let run: WireRun | null = null;
  try {
    const book = await client.uploadBook(file);
    embedded?.focus(book.id);
    run = await findOrStart(connection, book, wanted, terminal);
    return await report(terminal, client, await watchRun(connection, terminal, run.id), options);
  } catch (error) {
    if (!terminal.interruption.aborted) throw error;
    terminal.err(`${advice(run, embedded !== null)}\n`);
    return EXIT.interrupted;
  }
}

function namesOf(text: string): readonly string[] {
  const names = text.split(",").map((name) => name.trim());
  const given = [...new Set(names.filter((name) => name !== ""))];
  if (given.length === 0) throw new CliError("--recipes needs at least one name.", { exitCode: EXIT.usage });
  return given;
}

function maxCostOf(text: string | undefined): number | null {
  if (text === undefined) return null;
  const amount = nanoDollars(text);
  if (amount === null)
    throw new CliError("--max-cost needs an amount in dollars, such as 0.25.", { exitCode: EXIT.usage });
  return amount;
}

async function requireFile(file: string): Promise<void> {
  const found = await stat(file).catch(() => null);
  if (found?.isFile()) return;
  const why = found ? "is not a file" : "does not exist";
  throw new CliError(`${printable(file)} ${why}.`, { exitCode: EXIT.usage });
}

async function findOrStart(
  { client, embedded }: Connection,
  book: WireBook,
  wanted: Omit<NewRun, "bookId">,
  terminal: Terminal,
): Promise<WireRun> {
  const same = (run: WireRun) =>
    sameNames(run.recipes, wanted.recipes) &&
    run.options.max_cost === wanted.maxCost &&
    run.options.fresh === wanted.fresh &&
    (run.options.service_tier === "flex") === wanted.flex &&
    (embedded === null || run.model === embedded.model);
  for (let after: string | null = null; ; ) {
    const page = await client.runs({ book_id: book.id, status: LIVE, after });
    const live = page.data.find(same);
    if (live) {
      terminal.err(`Going on with ${live.id}, which was interrupted.\n`);
      return live;
    }
    if (!page.has_more || page.next === null) break;
    after = page.next;
  }
  return await client.startRun({ ...wanted, bookId: book.id });
}

function sameNames(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((name) => others.includes(name));
}

async function report(
  terminal: Terminal,
  client: Client,
  run: WireRun,
  options: ProcessOptions,
): Promise<number> {
  if (run.status === "failed" || run.status === "cancelled") {
    const why =
      run.error?.detail ?? (run.status === "cancelled" ? "The run was cancelled." : "The run failed.");
    throw new CliError(printable(why));
  }
  const whole = await readWholeResult(client, run, null);
  if (options.json) terminal.out(`${JSON.stringify(whole, null, 2)}\n`);
  else for (const path of await writeResult(client, whole, options.out)) terminal.out(`${path}\n`);
  terminal.err(`${closing(run)}\n`);
  if (run.model === null && wantsModel(terminal)) terminal.err(`${HALF_CONFIGURED}\n`);
  for (const failure of run.failures)
    terminal.err(`Missing: ${printable(failure.unit)}. ${printable(failure.detail)}\n`);
  return run.status === "partial" ? EXIT.partial : EXIT.done;
}

/** True when some of a model's settings are there: whoever made them expects a summary. */
function wantsModel({ environment }: Terminal): boolean {
  return ["MYTHIC_MODEL", "OPENAI_API_KEY", "OPENAI_BASE_URL"].some((name) => environment[name]);
}

function closing(run: WireRun): string {
  const { calls, cost, reused_answers: reused } = run.usage;
  if (run.model === null) return "Made without a model: key passages, not a summary.";
  const paid = `${calls} calls to ${printable(run.model)}, ${cost === null ? "price not known" : dollars(cost)}`;
  return reused > 0 ? `${paid}, ${reused} answers reused.` : `${paid}.`;
}

function advice(run: WireRun | null, embedded: boolean): string {
  if (run === null) return "Interrupted before anything was started.";
  if (embedded) return "Interrupted. What is done is kept: the same command goes on from here.";
  return `The server goes on with it: mythic status ${run.id}`;
}

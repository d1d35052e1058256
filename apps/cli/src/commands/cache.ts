import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import type { Command } from "commander";
import { CliError, EXIT } from "../cli-error.ts";
import { connect, type ServerOptions } from "../connect.ts";
import { serverOptions } from "../server-options.ts";
import { printable, type Terminal } from "../terminal.ts";

interface ExplainOptions extends ServerOptions {
  readonly user?: string;
}

interface EraseOptions extends ServerOptions {
  readonly run?: string;
  readonly book?: string;
  readonly answer?: string;
  readonly model?: string;
  readonly recipe?: string;
  readonly all?: boolean;
  readonly user?: string;
}

export function addCache(program: Command, terminal: Terminal): void {
  const cache = program.command("cache").description("look at the answers that are kept, and erase them");
  serverOptions(
    cache
      .command("explain")
      .description("say why a request would not be answered by what is kept")
      .argument("<file>", "a chat request as JSON; - for standard input")
      .option("--user <name>", "whose request it is, if not the key's")
      .action((file: string, options: ExplainOptions) => explain(terminal, file, options)),
  );
  serverOptions(
    cache
      .command("erase")
      .description("remove the texts of answers, wherever they are kept; what they cost stays known")
      .option("--run <id>", "answers of a run")
      .option("--book <id>", "answers about a book")
      .option("--answer <digest>", "the answer to a request, by its x-mythic-cache-key")
      .option("--model <name>", "answers of a model")
      .option("--recipe <name@version>", "answers of a version of a recipe, such as summary@2")
      .option("--all", "all answers")
      .option("--user <name>", "whose: admins may name others, or * for everyone")
      .action((options: EraseOptions) => erase(terminal, options)),
  );
}

async function explain(terminal: Terminal, file: string, options: ExplainOptions): Promise<void> {
  const request = await readRequest(file);
  await using connection = await connect(terminal, options, { work: false });
  const { sentence, differences } = await connection.client.explain(request, options.user ?? null);
  terminal.out(`${printable(sentence)}\n`);
  for (const { field, how } of differences) terminal.out(`  ${printable(field)}: ${printable(how)}\n`);
}

async function readRequest(file: string): Promise<string> {
  try {
    return file === "-" ? await text(process.stdin) : await readFile(file, "utf8");
  } catch (cause) {
    throw new CliError(`${printable(file)} cannot be read.`, { exitCode: EXIT.usage, cause });
  }
}

async function erase(terminal: Terminal, options: EraseOptions): Promise<void> {
  const { run = null, book = null, answer: key = null, model = null, user = null } = options;
  const [recipe = null, version = null] = options.recipe?.split("@") ?? [];
  const all = options.all === true ? "true" : null;
  if ([run, book, key, model, recipe, all].filter((one) => one !== null).length !== 1) {
    const message = "Say which answers: one of --run, --book, --answer, --model, --recipe or --all.";
    throw new CliError(message, { exitCode: EXIT.usage });
  }
  await using connection = await connect(terminal, options, { work: false });
  const erased = await connection.client.eraseAnswers({ run, book, key, model, recipe, version, all, user });
  terminal.out(`${erased}\n`);
}

import type { Command } from "commander";
import { connect, type ServerOptions } from "../connect.ts";
import { serverOptions } from "../server-options.ts";
import { printableLines, type Terminal } from "../terminal.ts";
import { readWholeResult } from "../write-result.ts";

interface ResultOptions extends ServerOptions {
  readonly recipe?: string;
  readonly json?: boolean;
}

export function addResult(program: Command, terminal: Terminal): void {
  const command = program
    .command("result")
    .description("print what a run has made so far, as Markdown")
    .argument("<run>", "its id")
    .option("--recipe <name>", "of this recipe only")
    .option("--json", "print it as JSON, with every quotation and its place")
    .action(async (id: string, options: ResultOptions) => {
      await using connection = await connect(terminal, options, { work: false });
      const { client } = connection;
      const run = await client.status(id);
      const recipes = options.recipe === undefined ? run.recipes : [options.recipe];
      if (options.json) {
        const whole = await readWholeResult(client, run, options.recipe ?? null);
        terminal.out(`${JSON.stringify(whole, null, 2)}\n`);
        return;
      }
      for (const recipe of recipes)
        terminal.out(`${printableLines((await client.markdown(run.id, recipe)).markdown).trimEnd()}\n`);
    });
  serverOptions(command);
}

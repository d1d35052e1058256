import type { Command } from "commander";
import { CliError, EXIT } from "../cli-error.ts";
import { connect, type ServerOptions } from "../connect.ts";
import { serverOptions } from "../server-options.ts";
import { printable, type Terminal } from "../terminal.ts";
import { watchRun } from "../watch-run.ts";

export function addRetry(program: Command, terminal: Terminal, ended: (code: number) => void): void {
  const command = program
    .command("retry")
    .description("do again what failed in a run; what is done is kept")
    .argument("<run>", "its id")
    .addHelpText("after", "\nWithout --server the run is worked on here, to its end.")
    .action(async (id: string, options: ServerOptions) => {
      ended(await retry(terminal, id, options));
    });
  serverOptions(command);
}

async function retry(terminal: Terminal, id: string, options: ServerOptions): Promise<number> {
  await using connection = await connect(terminal, options, { work: true });
  const { client, embedded } = connection;
  let run = await client.act(id, "retry");
  if (embedded !== null) {
    embedded.focus(run.book_id);
    run = await watchRun(connection, terminal, run.id);
  }
  terminal.out(`${run.id} ${printable(run.status)}\n`);
  if (run.status === "failed") throw new CliError(printable(run.error?.detail ?? "The run failed."));
  return run.status === "partial" ? EXIT.partial : EXIT.done;
}

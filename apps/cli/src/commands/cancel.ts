import type { Command } from "commander";
import { connect, type ServerOptions } from "../connect.ts";
import { serverOptions } from "../server-options.ts";
import { printable, type Terminal } from "../terminal.ts";

export function addCancel(program: Command, terminal: Terminal): void {
  const command = program
    .command("cancel")
    .description("stop a run; what is done stays readable")
    .argument("<run>", "its id")
    .action(async (id: string, options: ServerOptions) => {
      await using connection = await connect(terminal, options, { work: false });
      const run = await connection.client.act(id, "cancel");
      terminal.out(`${run.id} ${printable(run.status)}\n`);
    });
  serverOptions(command);
}

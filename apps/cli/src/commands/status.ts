import type { Command } from "commander";
import { connect, type ServerOptions } from "../connect.ts";
import { dollars } from "../money.ts";
import { serverOptions } from "../server-options.ts";
import { printable, type Terminal, table } from "../terminal.ts";
import type { WireRun } from "../wire.ts";

interface StatusOptions extends ServerOptions {
  readonly json?: boolean;
}

export function addStatus(program: Command, terminal: Terminal): void {
  const command = program
    .command("status")
    .description("show where a run stands")
    .argument("<run>", "its id")
    .option("--json", "print the run as JSON")
    .action(async (id: string, options: StatusOptions) => {
      await using connection = await connect(terminal, options, { work: false });
      const run = await connection.client.status(id);
      terminal.out(options.json ? `${JSON.stringify(run, null, 2)}\n` : describe(run));
    });
  serverOptions(command);
}

/** A run in a few lines. */
function describe(run: WireRun): string {
  const { total, completed, failed } = run.counts;
  const { calls, input_tokens: input, output_tokens: output, cost } = run.usage;
  const rows = [
    ["run", run.id],
    ["book", run.book_id],
    ["recipes", run.recipes.map(printable).join(", ")],
    ["status", printable(run.status)],
    ["stage", printable(run.stage)],
    ["steps", `${completed} of ${total} done, ${failed} failed`],
    ["model", run.model === null ? "none" : printable(run.model)],
    ...(calls > 0
      ? [
          [
            "usage",
            `${calls} calls, ${input} tokens in, ${output} out, ${cost === null ? "price not known" : dollars(cost)}`,
          ],
        ]
      : []),
    ...(run.error ? [["error", printable(run.error.detail)]] : []),
    ...run.failures.map((failure) => ["missing", `${printable(failure.unit)}: ${printable(failure.detail)}`]),
  ];
  return table(rows);
}

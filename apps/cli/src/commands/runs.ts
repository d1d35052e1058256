import type { Command } from "commander";
import { connect, type ServerOptions } from "../connect.ts";
import { serverOptions } from "../server-options.ts";
import { printable, type Terminal, table } from "../terminal.ts";

interface RunsOptions extends ServerOptions {
  readonly book?: string;
  readonly status?: string;
  readonly limit: string;
  readonly json?: boolean;
}

export function addRuns(program: Command, terminal: Terminal): void {
  const command = program
    .command("runs")
    .description("list runs, the newest first")
    .option("--book <id>", "of this book only")
    .option("--status <states>", "in these states only, separated by commas")
    .option("--limit <number>", "at most so many", "20")
    .option("--json", "print the list as JSON")
    .action(async (options: RunsOptions) => {
      await using connection = await connect(terminal, options, { work: false });
      const { book, status, limit } = options;
      const page = await connection.client.runs({ book_id: book ?? null, status: status ?? null, limit });
      if (options.json) return terminal.out(`${JSON.stringify(page, null, 2)}\n`);
      const rows = page.data.map((run) => [
        run.id,
        printable(run.status),
        `${run.counts.completed}/${run.counts.total}`,
        run.recipes.map(printable).join(","),
        run.queued_at,
        run.book_id,
      ]);
      terminal.out(
        rows.length === 0
          ? "No runs.\n"
          : table([["RUN", "STATUS", "STEPS", "RECIPES", "QUEUED", "BOOK"], ...rows]),
      );
    });
  serverOptions(command);
}

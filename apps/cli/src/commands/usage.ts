import type { Command } from "commander";
import { connect, type ServerOptions } from "../connect.ts";
import { dollars } from "../money.ts";
import { serverOptions } from "../server-options.ts";
import { printable, type Terminal, table } from "../terminal.ts";
import type { WireAmount } from "../wire.ts";

interface UsageOptions extends ServerOptions {
  readonly from?: string;
  readonly to?: string;
  readonly user?: string;
  readonly json?: boolean;
}

export function addUsage(program: Command, terminal: Terminal): void {
  const command = program
    .command("usage")
    .description("show what was spent, saved and wasted on models")
    .option("--from <day>", "first day (UTC), such as 2026-11-01; 30 days ago without it")
    .option("--to <day>", "last day (UTC); today without it")
    .option("--user <name>", "whose: admins may name others, and see everyone's without it")
    .option("--json", "print the server's answer as JSON")
    .action(async (options: UsageOptions) => {
      const { from = null, to = null, user = null } = options;
      await using connection = await connect(terminal, options, { work: false });
      const usage = await connection.client.usage({ from, to, user });
      if (options.json) terminal.out(`${JSON.stringify(usage, null, 2)}\n`);
      else terminal.out(table(rowsOf(usage.total)));
    });
  serverOptions(command);
}

interface Totals {
  readonly spent: WireAmount;
  readonly saved: Readonly<Record<string, WireAmount>>;
  readonly wasted: Readonly<Record<string, WireAmount>>;
}

function rowsOf({ spent, saved, wasted }: Totals): string[][] {
  const named = (what: string, amounts: Readonly<Record<string, WireAmount>>) =>
    Object.entries(amounts).map(([cause, amount]) => rowOf(`${what}: ${cause.replaceAll("_", " ")}`, amount));
  return [
    ["", "CALLS", "TOKENS", "COST"],
    rowOf("spent", spent),
    ...named("saved", saved),
    ...named("wasted", wasted),
  ];
}

function rowOf(what: string, { calls, tokens, cost, unpriced_calls: unpriced }: WireAmount): string[] {
  const unknown = unpriced === 0 ? "" : ` and ${unpriced} calls of unknown price`;
  return [printable(what), String(calls), String(tokens), `${dollars(cost)}${unknown}`];
}

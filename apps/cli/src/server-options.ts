import type { Command } from "commander";

/** The two options of every command that talks to an API. */
export function serverOptions(command: Command): Command {
  return command
    .option("--server <url>", "use the API at this address (or MYTHIC_SERVER)")
    .option(
      "--key <key>",
      "API key for that server (better in MYTHIC_KEY, which others on the machine cannot see)",
    );
}

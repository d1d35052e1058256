import type { Command } from "commander";
import type { Terminal } from "../terminal.ts";

export function addServe(program: Command, terminal: Terminal): void {
  program
    .command("serve")
    .description("run the API and a worker in one process")
    .addHelpText(
      "after",
      `
PORT and HOST say where to listen (3000 on 127.0.0.1), MONGODB_URL or MYTHIC_DATA_DIR where things are stored, and REDIS_URL,
which may be left out, wakes other workers. All settings: .env.example.`,
    )
    .action(async () => {
      const { serve } = await import("../serve.ts");
      await serve(terminal);
    });
}

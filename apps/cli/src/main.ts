import { existsSync } from "node:fs";
import { openTerminal } from "./open-terminal.ts";
import { runProgram } from "./program.ts";

// Settings of the folder, as `docker compose` reads them; the environment comes first.
if (existsSync(".env")) process.loadEnvFile(".env");
process.exitCode = await runProgram(process.argv.slice(2), openTerminal(process.env));

import { spawn } from "node:child_process";
import { join } from "node:path";

/**
 * `mythic serve`, started anew on each edit. Node's watch mode aborts when it is told to stop after a restart (Node 24.21, an
 * assertion in `FSWatcher.close`) and leaves the server behind. So both are in a process group of their own: the watch is ended
 * by force, and the server is told to stop in its place.
 */
const words = ["--watch", join(import.meta.dirname, "main.ts"), "serve"];
const watching = spawn(process.execPath, words, { detached: true, stdio: "inherit" });

const stop = () => {
  const { pid } = watching;
  if (pid === undefined || watching.killed || !watching.kill("SIGKILL")) return;
  process.kill(-pid, "SIGTERM");
};
process.on("SIGINT", stop).on("SIGTERM", stop).on("SIGHUP", stop);
watching.on("close", (code) => {
  process.exitCode = code ?? 0;
});

import type { Terminal } from "./terminal.ts";

/** The terminal of this process, from now on with its signals: the first one interrupts, a second ends the process at once. */
export function openTerminal(environment: Terminal["environment"]): Terminal {
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => interrupted.abort());
  // `mythic result … | head` closes the pipe early, which is not an error.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
  const { isTTY, columns } = process.stderr;
  return {
    environment,
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    interactive: isTTY === true && environment["TERM"] !== "dumb",
    // A terminal without a size says 0.
    columns: isTTY && columns > 0 ? columns : 80,
    interruption: interrupted.signal,
  };
}

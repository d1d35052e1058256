import type { Connection } from "./connect.ts";
import { showProgress } from "./progress.ts";
import type { Terminal } from "./terminal.ts";
import { hasEnded, type WireRun } from "./wire.ts";

/** The embedded server answers from the same process, so it is asked more often than a server far away, in milliseconds. */
const EMBEDDED_POLL_MS = 100;

/** Shows how a run gets on until it has ended. */
export async function watchRun(
  { client, embedded }: Pick<Connection, "client" | "embedded">,
  terminal: Terminal,
  id: string,
): Promise<WireRun> {
  const progress = showProgress(terminal);
  try {
    return await client.watch(id, embedded && EMBEDDED_POLL_MS, (run) => {
      progress.update(run);
      return !hasEnded(run);
    });
  } finally {
    progress.end();
  }
}

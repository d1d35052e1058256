import { once } from "node:events";

/** How long clean-up may take after the signal before the process is ended by force. */
const LAST_RESORT_MS = 60_000;

/**
 * Runs a process: starts it, waits for SIGTERM or SIGINT, and disposes of everything on the stack in reverse order. The
 * process then ends by itself, once its event loop is empty; a second signal, or a clean-up that hangs, ends it by force.
 */
export async function runUntilSignalled(
  start: (stack: AsyncDisposableStack, signal: AbortSignal) => Promise<void>,
  lastResortMs: number = LAST_RESORT_MS,
): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const controller = new AbortController();
  const signalled = Promise.race([once(process, "SIGTERM"), once(process, "SIGINT")]);
  void signalled.then(() => {
    controller.abort();
    const force = () => process.kill(process.pid, "SIGKILL");
    setTimeout(force, lastResortMs).unref();
    process.once("SIGTERM", force).once("SIGINT", force);
  });
  await start(stack, controller.signal);
  await signalled;
}

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** A server that a test started. */
export interface GuardedProcess {
  readonly processId: number;
  kill(): Promise<void>;
}

/**
 * Starts a server through a shell that kills it when its own input ends, which it does when this process ends in whatever way.
 * So no server outlives a test run that was killed.
 */
export async function spawnGuarded(command: string, args: readonly string[]): Promise<GuardedProcess> {
  const script = `exec 3<&0; "$@" </dev/null >/dev/null 2>&1 & echo $!; cat <&3 >/dev/null; kill -9 $!; wait`;
  const guard = spawn("sh", ["-c", script, "sh", command, ...args], { stdio: ["pipe", "pipe", "ignore"] });
  const lines = createInterface(guard.stdout);
  const [line] = await once(lines, "line");
  lines.close();
  return {
    processId: Number(line),
    async kill() {
      if (guard.exitCode !== null || guard.signalCode !== null) return;
      const ended = once(guard, "exit");
      guard.stdin.end();
      await ended;
    },
  };
}

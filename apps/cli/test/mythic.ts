import { spawn } from "node:child_process";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { waitFor } from "@mythic/testing/wait";

const MAIN = join(import.meta.dirname, "../src/main.ts");

/** Where Node keeps compiled code: a third less to wait for each process, of which these tests start many. */
export const COMPILED = { NODE_COMPILE_CACHE: join(tmpdir(), "mythic-test-compile-cache") };

export interface MythicOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** The command line as a child process of its own, with nothing of this machine's settings. */
export interface Mythic {
  readonly stdout: string;
  readonly stderr: string;
  signal(name: NodeJS.Signals): void;
  /** Waits until standard error holds this. */
  says(pattern: RegExp): Promise<void>;
  /** Resolves with the exit code; null when a signal ended it. */
  ended(): Promise<number | null>;
}

export function startMythic(words: readonly string[], options: MythicOptions = {}): Mythic {
  const { PATH = "", HOME = "" } = process.env;
  const child = spawn(process.execPath, [MAIN, ...words], {
    cwd: options.cwd,
    env: { PATH, HOME, ...COMPILED, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const closed = once(child, "close");
  const said = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    said.stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said.stderr += text;
  });
  return {
    get stdout() {
      return said.stdout;
    },
    get stderr() {
      return said.stderr;
    },
    signal: (name) => void child.kill(name),
    says: async (pattern) => {
      await waitFor(() => pattern.test(said.stderr) || child.exitCode !== null, {
        timeoutMs: 20_000,
        what: String(pattern),
      });
      if (!pattern.test(said.stderr)) throw new Error(`It ended without ${pattern}:\n${said.stderr}`);
    },
    ended: async () => {
      await closed;
      return child.exitCode;
    },
  };
}

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end. */
export async function mythic(words: readonly string[], options: MythicOptions = {}): Promise<Outcome> {
  const running = startMythic(words, options);
  const code = await running.ended();
  return { code, stdout: running.stdout, stderr: running.stderr };
}

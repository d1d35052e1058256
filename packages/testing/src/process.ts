import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { waitFor } from "./wait.ts";

export interface ProcessOptions {
  /** Arguments after the file. */
  readonly args?: readonly string[];
  /** Added to PATH and HOME alone, so that a test's process sees nothing of the machine's settings. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** The process counts as started when a line of its output matches, or when this URL answers with a 2xx. */
  readonly ready?: RegExp | { readonly url: string };
  /** How long it may take until then, in milliseconds. 20 s without it. */
  readonly readyMs?: number;
}

/** A Node process run from its file, as in production. */
export interface TestProcess extends AsyncDisposable {
  readonly id: number;
  /** All lines so far, of standard output and standard error. */
  readonly lines: readonly string[];
  /** Waits for a line that is there or comes, and gives its match. */
  line(pattern: RegExp, timeoutMs?: number): Promise<RegExpExecArray>;
  /** `SIGTERM`, `SIGKILL`, `SIGSTOP`, `SIGCONT`. */
  signal(name: NodeJS.Signals): void;
  /** Resolves when the process has ended: its exit code, or null when a signal ended it. */
  ended(timeoutMs?: number): Promise<number | null>;
}

/** Starts `node <file>` and resolves when it is ready. It is killed when it is disposed of. */
export async function startProcess(file: string, options: ProcessOptions = {}): Promise<TestProcess> {
  const { PATH = "", HOME = "" } = process.env;
  const child = spawn(process.execPath, [file, ...(options.args ?? [])], {
    cwd: options.cwd,
    env: { PATH, HOME, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines: string[] = [];
  for (const output of [child.stdout, child.stderr]) {
    createInterface(output).on("line", (line) => lines.push(line));
  }
  const started = describe(file, child, lines);
  try {
    await untilReady(started, child, options);
  } catch (error) {
    await started[Symbol.asyncDispose]();
    throw new Error(`${file} did not start. Its output:\n${lines.join("\n")}`, { cause: error });
  }
  return started;
}

function describe(file: string, child: ChildProcess, lines: readonly string[]): TestProcess {
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  return {
    id: child.pid ?? Number.NaN,
    lines,
    async line(pattern, timeoutMs = 10_000) {
      const what = `a line like ${pattern} from ${file}`;
      return await waitFor(() => firstMatch(lines, pattern), { timeoutMs, what });
    },
    signal(name) {
      child.kill(name);
    },
    async ended(timeoutMs = 10_000) {
      await waitFor(hasEnded, { timeoutMs, what: `${file} to end` });
      return child.exitCode;
    },
    async [Symbol.asyncDispose]() {
      if (hasEnded()) return;
      const closed = once(child, "close");
      // A stopped process is killed too: SIGKILL does not wait for SIGCONT.
      child.kill("SIGKILL");
      await closed;
    },
  };
}

async function untilReady(started: TestProcess, child: ChildProcess, options: ProcessOptions): Promise<void> {
  const { ready, readyMs = 20_000 } = options;
  if (ready === undefined) return;
  const isReady = async () =>
    ready instanceof RegExp ? firstMatch(started.lines, ready) !== null : (await fetch(ready.url)).ok;
  const state = await waitFor(
    async () =>
      child.exitCode !== null || child.signalCode !== null ? "ended" : (await isReady()) && "ready",
    { timeoutMs: readyMs, what: "the process to be ready" },
  );
  if (state === "ended") throw new Error(`It ended with ${child.exitCode ?? child.signalCode}.`);
}

function firstMatch(lines: readonly string[], pattern: RegExp): RegExpExecArray | null {
  // Without the flags that make an expression remember where it stopped.
  const search = new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, ""));
  for (const line of lines) {
    const match = search.exec(line);
    if (match !== null) return match;
  }
  return null;
}

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { waitFor } from "./wait.ts";

export interface ProcessOptions {
  /** Arguments after the file. */
  readonly args?: readonly string[];
  /** Node's own, before the file. */
  readonly nodeFlags?: readonly string[];
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
  const child = spawn(process.execPath, [...(options.nodeFlags ?? []), file, ...(options.args ?? [])], {
    cwd: options.cwd,
    env: { PATH, HOME, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines: string[] = [];
  for (const output of [child.stdout, child.stderr]) {
    createInterface(output).on("line", (line) => lines.push(line));
  }
  const end = new End(child);
  const started = describe(file, { child, lines, end });
  try {
    await untilReady(lines, end, options);
  } catch (error) {
    await started[Symbol.asyncDispose]();
    throw new Error(`${file} did not start. Its output:\n${lines.join("\n")}`, { cause: error });
  }
  return started;
}

/** How long what a process said last may be on its way, when a process of its own goes on and holds its output open. */
const LAST_WORDS_MS = 1_000;

/** Of a process, when all that it said is there. */
class End {
  readonly promise: Promise<void>;
  #isReached = false;

  constructor(child: ChildProcess) {
    const closed = once(child, "close");
    this.promise = once(child, "exit").then(async () => {
      await Promise.race([closed, pause(LAST_WORDS_MS)]);
      this.#isReached = true;
    });
  }

  get isReached(): boolean {
    return this.#isReached;
  }
}

interface Described {
  readonly child: ChildProcess;
  readonly lines: readonly string[];
  readonly end: End;
}

function describe(file: string, { child, lines, end }: Described): TestProcess {
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
      await waitFor(() => end.isReached, { timeoutMs, what: `${file} to end` });
      return child.exitCode;
    },
    async [Symbol.asyncDispose]() {
      // A stopped process is killed too: SIGKILL does not wait for SIGCONT.
      child.kill("SIGKILL");
      await end.promise;
    },
  };
}

async function untilReady(
  lines: readonly string[],
  end: End,
  { ready, readyMs = 20_000 }: ProcessOptions,
): Promise<void> {
  if (ready === undefined) return;
  const state = await waitFor(
    async () => {
      // What it says last may be what is waited for.
      const isOver = end.isReached;
      if (ready instanceof RegExp && firstMatch(lines, ready) !== null) return "ready";
      if (isOver) return "ended";
      return !(ready instanceof RegExp) && (await fetch(ready.url)).ok && "ready";
    },
    { timeoutMs: readyMs, what: "the process to be ready" },
  );
  if (state === "ended") throw new Error("It ended before.");
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

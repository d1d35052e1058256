import { type ChildProcess, fork } from "node:child_process";
import { readFile } from "node:fs/promises";
import type { BookFormat, Chapter, Failure } from "@mythic/runs";
import { Interruption } from "../interruption.ts";
import { StepError } from "../step-error.ts";
import type { ParsingMessage } from "./messages.ts";

/** Heap of the parsing process, and the memory it may take altogether before it is killed. */
const HEAP_MB = 512;
const MOST_BYTES = 900 * 1024 * 1024;
/** Wall clock: a base and a share by size. A 25 MB novel takes about a second. */
const BASE_MS = 60_000;
const MS_PER_KILOBYTE = 20;
const WATCH_MS = 100;

export interface ParseTask {
  readonly file: string;
  readonly format: BookFormat;
  readonly bytes: number;
  readonly signal: AbortSignal;
  /** Called for each chapter in reading order. */
  readonly onChapter: (chapter: Chapter) => void;
  readonly limits?: { readonly wallClockMs?: number; readonly memoryBytes?: number };
}

export type Parsing =
  | {
      readonly status: "parsed";
      readonly title: string | null;
      readonly authors: readonly string[];
      readonly language: string | null;
      readonly warnings: readonly string[];
    }
  | { readonly status: "refused"; readonly error: Failure };

/**
 * Parses a file in a process of its own, which is killed when it takes too much memory or time: a heap limit alone does not
 * bind buffers, and a parser that hangs would hold this process's event loop.
 *
 * @throws StepError when the process ended without an answer
 * @throws Interruption when it was asked to stop: Ctrl-C and service managers ask all processes of a group at once
 */
export async function parseInChild(task: ParseTask): Promise<Parsing> {
  task.signal.throwIfAborted();
  const child = fork(new URL("./child.ts", import.meta.url), [task.file, task.format, String(process.pid)], {
    execArgv: [`--max-old-space-size=${HEAP_MB}`],
    env: {},
    serialization: "advanced",
    stdio: ["ignore", "ignore", "ignore", "ipc"],
  });
  const guard = guardChild(child, task);
  try {
    return await answerOf(child, task, guard);
  } finally {
    guard.release();
    child.kill("SIGKILL");
  }
}

interface Guard {
  /** Why the process was killed; null while it was not. */
  readonly verdict: () => Failure | null;
  readonly release: () => void;
}

function guardChild(child: ChildProcess, task: ParseTask): Guard {
  let verdict: Failure | null = null;
  const kill = (failure: Failure) => {
    verdict ??= failure;
    child.kill("SIGKILL");
  };
  const wallClockMs = task.limits?.wallClockMs ?? BASE_MS + (task.bytes / 1024) * MS_PER_KILOBYTE;
  const tooSlow = { code: "parsing_too_slow", detail: "Reading this file took too long." };
  const tooLarge = { code: "parsing_too_large", detail: "Reading this file took too much memory." };
  const clock = setTimeout(() => kill(tooSlow), wallClockMs);
  const memoryBytes = task.limits?.memoryBytes ?? MOST_BYTES;
  const watch = setInterval(() => {
    void residentBytes(child.pid).then((bytes) => bytes > memoryBytes && kill(tooLarge));
  }, WATCH_MS);
  const abort = () => child.kill("SIGKILL");
  task.signal.addEventListener("abort", abort, { once: true });
  return {
    verdict: () => verdict,
    release: () => {
      clearTimeout(clock);
      clearInterval(watch);
      task.signal.removeEventListener("abort", abort);
    },
  };
}

/** Memory of a process as Linux tells it; 0 elsewhere, where the heap limit alone has to do. */
async function residentBytes(pid: number | undefined): Promise<number> {
  try {
    const pages = (await readFile(`/proc/${pid}/statm`, "utf8")).split(" ")[1];
    return Number(pages) * 4096;
  } catch {
    return 0;
  }
}

function answerOf(child: ChildProcess, task: ParseTask, guard: Guard): Promise<Parsing> {
  return new Promise((resolve, reject) => {
    let answer: Parsing | null = null;
    child.on("message", (message: ParsingMessage) => {
      if (message.type === "chapter") task.onChapter(message.chapter);
      else if (message.type === "refused") answer = { status: "refused", error: message.error };
      else answer = { ...message, status: "parsed" };
    });
    child.on("error", reject);
    child.on("close", (_code, signal) => {
      const verdict = guard.verdict();
      if (task.signal.aborted) reject(task.signal.reason);
      else if (verdict) resolve({ status: "refused", error: verdict });
      else if (answer) resolve(answer);
      else if (signal === "SIGABRT") resolve({ status: "refused", error: OUT_OF_HEAP });
      else reject(withoutAnswer(signal));
    });
  });
}

function withoutAnswer(signal: NodeJS.Signals | null): Error {
  if (signal === "SIGINT" || signal === "SIGTERM") return new Interruption("draining");
  return new StepError("parsing_crashed", "Reading this file crashed the reader.", true);
}

// V8 aborts a process whose heap is full.
const OUT_OF_HEAP: Failure = { code: "parsing_too_large", detail: "Reading this file took too much memory." };

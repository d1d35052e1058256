import { hrtime } from "node:process";
import { printable, type Terminal } from "./terminal.ts";
import { hasEnded, type WireRun } from "./wire.ts";

/** What people read for each stage. */
const STAGES: Readonly<Record<string, string>> = {
  parsing: "Reading the book",
  chapters: "Working through the chapters",
  merging: "Putting it together",
  finishing: "Finishing",
};
const LABEL_WIDTH = Math.max(...Object.values(STAGES).map((label) => label.length));
const BAR_WIDTH = 28;
/** Without a terminal a line is written for each new tenth, so that a log stays short. */
const TENTHS = 10;

export interface Progress {
  /** Shows where the run stands. */
  update(run: WireRun): void;
  /** Leaves the line, so that whatever comes next begins on its own. */
  end(): void;
}

/** A bar per stage on a terminal, plain lines elsewhere. */
export function showProgress(terminal: Terminal): Progress {
  return terminal.interactive ? new ProgressBar(terminal) : new ProgressLines(terminal);
}

class ProgressBar implements Progress {
  readonly #terminal: Terminal;
  #stage: string | null = null;
  #stageBegan = hrtime.bigint();
  #shown = "";

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  update(run: WireRun): void {
    const stage = hasEnded(run) ? null : run.stage;
    if (stage !== this.#stage) {
      this.#leaveStage(run);
      this.#stage = stage;
      this.#stageBegan = hrtime.bigint();
    }
    if (stage !== null) this.#draw(`${label(stage)} ${bar(run)}`);
  }

  end(): void {
    if (this.#shown !== "") this.#terminal.err("\n");
    this.#shown = "";
  }

  #leaveStage(run: WireRun): void {
    if (this.#stage === null) return;
    const seconds = Number(hrtime.bigint() - this.#stageBegan) / 1e9;
    const mark = run.status === "failed" ? "✗" : "✓";
    this.#draw(`${label(this.#stage)} ${mark} ${seconds.toFixed(1)} s`);
    this.end();
  }

  #draw(line: string): void {
    const fitting = line.slice(0, Math.max(20, this.#terminal.columns - 1));
    if (fitting === this.#shown) return;
    this.#terminal.err(`\r\u001b[2K${fitting}`);
    this.#shown = fitting;
  }
}

class ProgressLines implements Progress {
  readonly #terminal: Terminal;
  #shown = "";

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  update(run: WireRun): void {
    if (hasEnded(run)) return;
    const { total, completed, failed } = run.counts;
    const at = `${run.stage} ${total === 0 ? 0 : Math.floor(((completed + failed) / total) * TENTHS)}`;
    if (at === this.#shown) return;
    this.#shown = at;
    this.#terminal.err(`${label(run.stage).trimEnd()}${total === 0 ? "" : `: ${counted(run)}`}\n`);
  }

  end(): void {
    // Every line ends itself.
  }
}

function label(stage: string): string {
  return (STAGES[stage] ?? printable(stage)).padEnd(LABEL_WIDTH);
}

function bar(run: WireRun): string {
  const { total, completed, failed } = run.counts;
  if (total === 0) return "…";
  const full = Math.round((BAR_WIDTH * (completed + failed)) / total);
  return `${"█".repeat(full)}${"░".repeat(BAR_WIDTH - full)} ${counted(run)}`;
}

function counted({ counts: { total, completed, failed } }: WireRun): string {
  return `${completed} of ${total} steps${failed > 0 ? `, ${failed} failed` : ""}`;
}

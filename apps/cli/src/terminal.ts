/** Where a command reads its surroundings and writes to: all that it knows of the process it runs in. */
export interface Terminal {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** What was asked for, and nothing else, so that it can be piped on. */
  readonly out: (text: string) => void;
  /** Progress, advice and errors. */
  readonly err: (text: string) => void;
  /** True when a person watches `err`, so that a line may be drawn over. */
  readonly interactive: boolean;
  /** Width of the window in characters. */
  readonly columns: number;
  /** Aborted when the person, or whoever runs the program, asks it to stop. */
  readonly interruption: AbortSignal;
}

// Everything below the space, DEL, the C1 range, and the marks that turn the direction of text: whatever could move the cursor or hide words.
const UNPRINTABLE = /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** A title or a message as one line that cannot steer the terminal. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, " ").replace(/\s+/gu, " ").trim();
}

/** Text of several lines that cannot steer the terminal. */
export function printableLines(text: string): string {
  return text
    .split("\n")
    .map((line) => line.replace(UNPRINTABLE, " "))
    .join("\n");
}

/** Columns of text, as wide as their widest cell. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows)
    for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length);
  return rows
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join("");
}

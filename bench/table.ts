import { median } from "./measuring/statistics.ts";
import { BARE_MINIMUM, type Bar, type Figure, type Measured, MYTHIC, type Row } from "./row.ts";

/** What became of a row. */
export interface Outcome {
  readonly row: Row;
  /** By the names of its bars; null when the row broke down. */
  readonly measured: Readonly<Record<string, Measured>> | null;
}

type Verdict = "met" | "below bar" | "failed" | `left out: ${string}` | null;

/** One line of the table. */
export interface Line {
  readonly row: string;
  readonly measure: string;
  readonly bar: string;
  readonly verdict: Verdict;
  readonly figures: readonly Figure[];
}

/** The lines of all rows that ran. Bars are shown and not judged where a run is too short for it. */
export function linesOf(outcomes: readonly Outcome[], isJudged: boolean): readonly Line[] {
  return outcomes.flatMap(({ row, measured }) =>
    Object.entries(row.bars).map(([measure, bar]) => {
      const { figures = [], limit = bar?.limit ?? null, leftOut } = measured?.[measure] ?? {};
      const verdict =
        leftOut === undefined ? verdictOf(bar, limit, figures) : (`left out: ${leftOut}` as const);
      const isShown = isJudged || (verdict !== "met" && verdict !== "below bar");
      return { row: row.name, measure, bar: barText(bar, limit), verdict: isShown ? verdict : null, figures };
    }),
  );
}

function barText(bar: Bar | null, limit: number | null): string {
  if (bar === null) return "";
  return bar.limit === null && limit !== null ? `${bar.words} (${number(limit)})` : bar.words;
}

function verdictOf(bar: Bar | null, limit: number | null, figures: readonly Figure[]): Verdict {
  if (bar === null) return null;
  const own = figures.find(({ contender }) => contender === MYTHIC);
  if (own === undefined || own.samples.length === 0 || limit === null) return "failed";
  const middle = median(own.samples);
  const isMet = bar.sense === "at most" ? middle <= limit : middle >= limit;
  return isMet ? "met" : "below bar";
}

/** All lines as one Markdown table, with a column for each contender. */
export function renderTable(lines: readonly Line[]): string {
  const present = new Set(lines.flatMap(({ figures }) => figures.map(({ contender }) => contender)));
  const contenders = [...new Set([MYTHIC, BARE_MINIMUM, ...present])].filter((name) => present.has(name));
  const head = ["row", "measure", "bar", "verdict", ...contenders];
  const body = lines.map(({ row, measure, bar, verdict, figures }) => [
    row,
    measure,
    bar,
    verdict ?? "",
    ...contenders.map((contender) => cell(figures.find((figure) => figure.contender === contender))),
  ]);
  const widths = head.map((title, at) =>
    Math.max(...[title, ...body.map((cells) => cells[at] ?? "")].map(width)),
  );
  const render = (cells: readonly string[]) =>
    `| ${cells.map((text, at) => text + " ".repeat((widths[at] ?? 0) - width(text))).join(" | ")} |`;
  const rule = widths.map((wide) => "-".repeat(wide));
  return [head, rule, ...body].map(render).join("\n");
}

const width = (text: string) => [...text].length;

/** `1.21 (1.18–1.30)`: the median, and where all samples lie. */
function cell(figure: Figure | undefined): string {
  if (figure === undefined) return "";
  const { samples, note } = figure;
  if (samples.length === 0) return note ?? "failed";
  const [low, middle, high] = [Math.min(...samples), median(samples), Math.max(...samples)].map(number);
  const spread = low === high ? "" : ` (${low}–${high})`;
  return `${middle}${spread}${note ? `, ${note}` : ""}`;
}

/** With as many digits as are worth reading. */
export function number(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return "never";
  const size = Math.abs(value);
  if (Number.isInteger(value)) return String(value);
  if (size >= 1_000) return value.toFixed(0);
  if (size >= 10) return value.toFixed(1);
  return value.toFixed(size >= 1 ? 2 : 3);
}

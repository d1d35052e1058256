import type { Bench } from "./bench.ts";

/** What a figure must be for a row to be met. */
export interface Bar {
  readonly sense: "at most" | "at least";
  /** Null when it takes a measurement to know it; the row then gives it with its figures. */
  readonly limit: number | null;
  /** As the table shows it. */
  readonly words: string;
}

export function atMost(limit: number): Bar {
  return { sense: "at most", limit, words: `≤ ${limit}` };
}

/** A bar that the row measures in the same run, such as a timer's lateness. */
export function atMostMeasured(words: string): Bar {
  return { sense: "at most", limit: null, words: `≤ ${words}` };
}

export function atLeast(limit: number): Bar {
  return { sense: "at least", limit, words: `≥ ${limit}` };
}

/** What one contender did. */
export interface Figure {
  /** `mythic`, `bare minimum`, or the name of a peer. */
  readonly contender: string;
  /** One sample of each round. Infinity says that it never came about. */
  readonly samples: readonly number[];
  /** A few words that the number alone would hide. */
  readonly note?: string;
}

export interface Measured {
  readonly figures: readonly Figure[];
  /** Why there are no figures on this machine, in a few words. */
  readonly leftOut?: string;
  /** The bar, where the row has measured it. */
  readonly limit?: number;
}

/** One subject of the bench: one file in `rows/`. */
export interface Row<Name extends string = string> {
  /** As it is asked for on the command line; the name of its file. */
  readonly name: string;
  /** What it measures, in one sentence. */
  readonly measures: string;
  /** How it does so, and what the bare minimum is. */
  readonly how: string;
  /** Its measures, each with the bar that Mythic has to meet; null for what is shown for comparison. */
  readonly bars: Readonly<Record<Name, Bar | null>>;
  run(bench: Bench): Promise<Readonly<Record<Name, Measured>>>;
}

/** Checks that a row gives a figure for each of its bars. */
export function defineRow<const Name extends string>(row: Row<Name>): Row {
  return row;
}

export const MYTHIC = "mythic";
export const BARE_MINIMUM = "bare minimum";

/*
 * The model. A source holds a number for each value, which grows with each change. A change is told to the cache, and once that is acknowledged nobody is to be served
 * a lower number for longer than a bound. What a process has changed itself it is not to see again at all.
 */

export interface ChangeBegun {
  readonly kind: "change";
  /** Tells changes of a process apart. */
  readonly number: number;
  readonly at: number;
  readonly way: string;
  /** Whether it stores the value, so that it may come to light late; else it removes it. */
  readonly stores: boolean;
  /** How long the value may be served all the same. */
  readonly graceMs: number;
  readonly editions: readonly { readonly name: string; readonly edition: number }[];
}

/** `resolved`: the call came back. `settled`: Redis knows. */
export interface ChangeEnded {
  readonly kind: "resolved" | "settled";
  readonly number: number;
  readonly at: number;
}

interface ReadDone {
  readonly kind: "read";
  readonly name: string;
  readonly edition: number;
  readonly way: string;
  /** When it was asked for, and when it came. */
  readonly at: number;
  readonly endedAt: number;
}

/** What processes tell of what they do. Times are of the clock that they share. */
export type SoakEvent = ChangeBegun | ChangeEnded | ReadDone;

interface Change {
  readonly begun: ChangeBegun;
  readonly by: string;
  readonly edition: number;
  resolvedAt: number;
  settledAt: number;
}

interface Read extends ReadDone {
  readonly by: string;
}

export interface HistoryOptions {
  /** For how long what was changed may be served after the change is settled. */
  readonly boundMs: number;
  /** When what a dead process left unsettled has come to its end. */
  readonly lifeMs: number;
}

interface Line {
  readonly at: number;
  readonly what: string;
}

interface Value {
  changes: Change[];
  reads: Read[];
  readonly lines: Line[];
}

/** So much is kept of what happened to a value, and so much of it is shown when it was served too late. */
const KEPT_LINES = 1_000;
const SHOWN_MS = 4_000;

export class History {
  readonly #options: HistoryOptions;
  readonly #values = new Map<string, Value>();
  readonly #open = new Map<string, readonly Change[]>();
  readonly #deaths = new Map<string, number>();
  readonly violations: string[] = [];
  reads = 0;
  changes = 0;
  /** How long after its change was settled a value was served at most, beyond its grace. */
  latestMs = 0;

  constructor(options: HistoryOptions) {
    this.#options = options;
  }

  add(by: string, event: SoakEvent): void {
    if (event.kind === "change") this.#begin(by, event);
    else if (event.kind === "read") this.#read({ ...event, by });
    else this.#end(by, event);
  }

  died(by: string, at: number): void {
    this.#deaths.set(by, at);
  }

  /** Something that happened to all. */
  note(at: number, what: string): void {
    for (const value of this.#values.values()) show(value.lines, at, what);
  }

  /** Judges what was asked for before then. It is to be so long ago that all that was done before has been told. */
  judge(before: number): void {
    for (const [name, value] of this.#values) {
      const due = value.reads.filter(({ at }) => at < before);
      value.reads = value.reads.filter(({ at }) => at >= before);
      for (const read of due) this.#judge(name, read, value);
      const floor = this.#required(value.changes, before);
      value.changes = value.changes.filter(
        (change) => change.edition >= floor || this.#settledAt(change) + this.#options.boundMs > before,
      );
    }
  }

  #begin(by: string, begun: ChangeBegun): void {
    const changes = begun.editions.map(({ name, edition }) => {
      const change: Change = {
        begun,
        by,
        edition,
        resolvedAt: Number.POSITIVE_INFINITY,
        settledAt: Number.POSITIVE_INFINITY,
      };
      const value = this.#of(name);
      value.changes.push(change);
      show(value.lines, begun.at, `${by} changes it to ${edition} by ${begun.way}`);
      return change;
    });
    this.changes += 1;
    this.#open.set(`${by} ${begun.number}`, changes);
  }

  #end(by: string, { kind, number, at }: ChangeEnded): void {
    for (const change of this.#open.get(`${by} ${number}`) ?? []) {
      if (kind === "resolved") change.resolvedAt = at;
      else change.settledAt = at;
    }
    for (const { name, edition } of this.#open.get(`${by} ${number}`)?.[0]?.begun.editions ?? [])
      show(this.#of(name).lines, at, `${by} has ${kind} ${edition}`);
    if (kind === "settled") this.#open.delete(`${by} ${number}`);
  }

  #read(read: Read): void {
    this.reads += 1;
    const value = this.#of(read.name);
    value.reads.push(read);
    show(
      value.lines,
      read.at,
      `${read.by} reads ${read.edition} by ${read.way}, +${ms(read.endedAt - read.at)}`,
    );
  }

  #judge(name: string, read: Read, { changes, lines }: Value): void {
    const newer = changes.filter(({ edition }) => edition > read.edition);
    if (newer.length === 0 || this.#isOnItsWay(changes, read)) return;
    for (const change of newer) {
      const lateMs = read.at - this.#settledAt(change) - change.begun.graceMs;
      this.latestMs = Math.max(this.latestMs, lateMs);
      const isOwn = change.by === read.by && read.at - change.resolvedAt >= change.begun.graceMs;
      // A process that asks Redis itself may be told of a change before the one that made it is.
      if (lateMs < this.#options.boundMs && !isOwn) continue;
      const how = isOwn ? "by the process that changed it" : `${ms(lateMs)} after the change was settled`;
      this.violations.push(
        `${name}: ${read.by} was served ${read.edition} at ${ms(read.at)} by ${read.way}, but it was changed to ${change.edition}: ${how}.\n${linesUntil(lines, read.endedAt)}`,
      );
      return;
    }
  }

  /** Whether what was read is being stored by somebody still, or was until a moment ago. */
  #isOnItsWay(changes: readonly Change[], read: Read): boolean {
    return changes.some(
      (change) =>
        change.begun.stores &&
        change.edition === read.edition &&
        this.#settledAt(change) + this.#options.boundMs > read.at,
    );
  }

  #required(changes: readonly Change[], at: number): number {
    const settled = changes.filter(
      (change) => this.#settledAt(change) + change.begun.graceMs + this.#options.boundMs < at,
    );
    return Math.max(0, ...settled.map(({ edition }) => edition));
  }

  #settledAt({ settledAt, by }: Change): number {
    if (settledAt !== Number.POSITIVE_INFINITY) return settledAt;
    return (this.#deaths.get(by) ?? Number.POSITIVE_INFINITY) + this.#options.lifeMs;
  }

  #of(name: string) {
    const known = this.#values.get(name) ?? { changes: [], reads: [], lines: [] };
    this.#values.set(name, known);
    return known;
  }
}

function show(lines: Line[], at: number, what: string): void {
  lines.push({ at, what });
  if (lines.length > KEPT_LINES) lines.shift();
}

function linesUntil(lines: readonly Line[], end: number): string {
  return lines
    .filter(({ at }) => at > end - SHOWN_MS && at <= end)
    .sort((one, other) => one.at - other.at)
    .map(({ at, what }) => `  ${ms(at)}  ${what}`)
    .join("\n");
}

function ms(milliseconds: number): string {
  return `${milliseconds.toFixed(1)} ms`;
}

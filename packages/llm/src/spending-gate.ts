/** How a call of a run with a limit of cost gets through. */
export interface GatedCall<Pass, Value> {
  readonly signal: AbortSignal;
  /** Whether there is room for it beside those at work. */
  readonly hasRoom: () => Promise<boolean>;
  /** Takes the room; throws when there is none. */
  readonly enter: () => Promise<Pass>;
  /** Ends with what it really cost in the ledger. */
  readonly work: (pass: Pass) => Promise<Value>;
}

interface Line {
  /** Over when everyone who came before has got in, or given up. */
  turn: Promise<void>;
  readonly atWork: Set<Promise<void>>;
  members: number;
}

/**
 * Lets the calls of a run in one after the other. A call on its way holds the most that it can cost, mostly many times of what it
 * will; so one that finds no room waits for another to end before it is refused. Knows the calls of this process alone: those of
 * others count at their most.
 */
export class SpendingGate {
  readonly #lines = new Map<string, Line>();

  async pass<Pass, Value>(run: string, call: GatedCall<Pass, Value>): Promise<Value> {
    const line = this.#lines.get(run) ?? { turn: Promise.resolve(), atWork: new Set(), members: 0 };
    this.#lines.set(run, line);
    line.members += 1;
    const before = line.turn;
    const { promise: entered, resolve: isIn } = Promise.withResolvers<void>();
    line.turn = before.then(() => entered);
    try {
      await firstOf([before], call.signal);
      while (line.atWork.size > 0 && !call.signal.aborted && !(await call.hasRoom())) {
        await firstOf(line.atWork, call.signal);
      }
      const working = call.work(await call.enter());
      watch(line, working);
      isIn();
      return await working;
    } finally {
      isIn();
      line.members -= 1;
      if (line.members === 0) this.#lines.delete(run);
    }
  }
}

function watch({ atWork }: Line, working: Promise<unknown>): void {
  const ended: Promise<void> = working.then(
    () => void atWork.delete(ended),
    () => void atWork.delete(ended),
  );
  atWork.add(ended);
}

/** The end of any of these, or of the caller's patience. */
async function firstOf(ends: Iterable<Promise<void>>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise: stopped, resolve } = Promise.withResolvers<void>();
  const stop = () => resolve();
  signal.addEventListener("abort", stop);
  try {
    await Promise.race([...ends, stopped]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

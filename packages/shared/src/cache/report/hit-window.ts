/** How often values were looked for, and how often they were found. */
export interface LookUps {
  readonly hits: number;
  readonly total: number;
}

interface Sample extends LookUps {
  readonly at: number;
}

/**
 * Remembers how sums stood, so as to say how much was added within the last minute or hour. Sums are sampled from time to time; hits
 * themselves need no clock.
 */
export class HitWindow {
  readonly #lengthMs: number;
  readonly #stepMs: number;
  #samples: readonly Sample[];

  /** `lengthMs`: of the window. `stepMs`: how exactly it is kept. */
  constructor(startedAt: number, lengthMs: number, stepMs: number) {
    this.#lengthMs = lengthMs;
    this.#stepMs = stepMs;
    this.#samples = [{ at: startedAt, hits: 0, total: 0 }];
  }

  /** To be called at least once each step. */
  sample(at: number, { hits, total }: LookUps): void {
    const last = this.#samples.at(-1);
    if (last !== undefined && at - last.at < this.#stepMs) return;
    const kept = this.#samples.slice(Math.max(0, this.#lastBefore(at)));
    this.#samples = [...kept, { at, hits, total }];
  }

  /** What was added within the window, or since the start when that was later. */
  since(at: number, { hits, total }: LookUps): LookUps {
    const base = this.#samples[Math.max(0, this.#lastBefore(at))];
    return { hits: hits - (base?.hits ?? 0), total: total - (base?.total ?? 0) };
  }

  /** The place of the last sample that is as old as the window is long; -1 when none is. */
  #lastBefore(at: number): number {
    return this.#samples.findLastIndex((sample) => sample.at <= at - this.#lengthMs);
  }
}

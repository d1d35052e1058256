/** A clock that stands still until it is told to go on. */
export class DrivenClock {
  #now = 1_000_000;

  readonly now = (): number => this.#now;

  advance(milliseconds: number): void {
    this.#now += milliseconds;
  }
}

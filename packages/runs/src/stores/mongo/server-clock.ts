/** A reply that took longer says too little about when the server read its clock. */
export const SLOWEST_REPLY_MS = 500;

/**
 * The primary's time, from what it says of itself in every heartbeat (each 10 s) and the local time in between. Wrong by half
 * a round trip at most, which is little against a lease.
 */
export class ServerClock {
  /** Server minus local, in milliseconds; null until the server was heard. */
  #offsetMs: number | null = null;

  /** Takes a reply to `hello` that came just now after `durationMs`. */
  observe(reply: Readonly<Record<string, unknown>>, durationMs: number): void {
    const { localTime, isWritablePrimary, ismaster } = reply;
    if (!(localTime instanceof Date) || !(isWritablePrimary === true || ismaster === true)) return;
    if (this.#offsetMs !== null && durationMs > SLOWEST_REPLY_MS) return;
    this.#offsetMs = localTime.getTime() + durationMs / 2 - Date.now();
  }

  /** Milliseconds since 1970. */
  now(): number {
    return Math.round(Date.now() + (this.#offsetMs ?? 0));
  }
}

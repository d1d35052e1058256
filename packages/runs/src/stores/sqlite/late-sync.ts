import { open } from "node:fs/promises";

/** How long what was written may be missing on the disk, in milliseconds. The disk's own time comes on top. */
export const LATE_MS = 100;

/** Brings a file onto the disk a moment after something was written, without anyone who waits for it. */
export class LateSync implements AsyncDisposable {
  readonly #sync: () => Promise<void>;
  #isBehind = false;
  #timer: NodeJS.Timeout | null = null;
  #last: Promise<void> = Promise.resolve();

  /** `sync` is told the path, and may fail: whoever waits for the disk next hears of its trouble. */
  constructor(path: string, sync: (path: string) => Promise<void> = syncData) {
    this.#sync = () => sync(path).catch(() => undefined);
  }

  /** To be told after each write, and whether all of the file is on the disk by now. */
  written(isOnDisk: boolean): void {
    this.#isBehind = !isOnDisk;
    if (this.#isBehind) this.#timer ??= setTimeout(() => this.#catchUp(), LATE_MS).unref();
  }

  #catchUp(): void {
    this.#timer = null;
    if (!this.#isBehind) return;
    this.#isBehind = false;
    this.#last = this.#sync();
  }

  /** What was written is on the disk afterwards. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#last;
    this.#catchUp();
    await this.#last;
  }
}

async function syncData(path: string): Promise<void> {
  await using file = await open(path, "r+");
  await file.datasync();
}

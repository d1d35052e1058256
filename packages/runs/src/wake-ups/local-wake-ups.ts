import type { Listener, WakeUp, WakeUpHandler, WakeUps } from "../wake-ups.ts";
import { HandlersAtWork } from "./handlers-at-work.ts";
import { PriorityQueue } from "./priority-queue.ts";

/** Wakes this process alone: what it takes, it works on; the rest stays in the store for others to find. */
export function openLocalWakeUps(): WakeUps {
  return new LocalWakeUps();
}

class LocalWakeUps implements WakeUps {
  readonly kind = "local";
  readonly #waiting = new PriorityQueue<WakeUp>();
  readonly #listeners = new Set<LocalListener>();
  readonly #notify: (() => void)[] = [];
  #handingOut = false;
  #closed = false;

  capacity(): number {
    return Math.max(0, this.#freeSlots() - this.#waiting.size);
  }

  async wake(wakeUps: readonly WakeUp[]): Promise<void> {
    if (this.#closed) throw new Error("Nobody can be woken any more: the wake-ups are closed.");
    for (const wakeUp of wakeUps) this.#waiting.add(wakeUp);
    this.#handOut();
  }

  listen(handler: WakeUpHandler, concurrency: number): Listener {
    if (this.#closed) throw new Error("Nobody can listen any more: the wake-ups are closed.");
    const listener = new LocalListener(handler, concurrency);
    this.#listeners.add(listener);
    listener.onFree = () => this.#slotsBecameFree();
    listener.onClose = () => this.#listeners.delete(listener);
    this.#slotsBecameFree();
    return listener;
  }

  onCapacity(notify: () => void): void {
    this.#notify.push(notify);
  }

  async wasWiped(): Promise<boolean> {
    return false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#waiting.clear();
    await Promise.all([...this.#listeners].map((listener) => listener.close()));
  }

  #freeSlots(): number {
    let free = 0;
    for (const listener of this.#listeners) free += listener.free;
    return free;
  }

  #slotsBecameFree(): void {
    this.#handOut();
    if (this.capacity() === 0) return;
    for (const notify of this.#notify) notify();
  }

  /**
   * One step a turn of the event loop: the first gets as far as its first wait before the next begins. Begun together they
   * would share the processor stage by stage, and all of them would wait for the model at the same time, and for each other.
   */
  #handOut(): void {
    if (this.#handingOut) return;
    const listener = [...this.#listeners].find((one) => one.free > 0);
    const next = listener && this.#waiting.take();
    if (next === undefined) return;
    listener?.start(next.stepId);
    if (this.#waiting.size === 0) return;
    this.#handingOut = true;
    setImmediate(() => {
      this.#handingOut = false;
      this.#handOut();
    });
  }
}

class LocalListener implements Listener {
  onFree: () => void = () => undefined;
  onClose: () => void = () => undefined;
  readonly #handler: WakeUpHandler;
  readonly #concurrency: number;
  readonly #atWork = new HandlersAtWork();
  #closed = false;

  constructor(handler: WakeUpHandler, concurrency: number) {
    this.#handler = handler;
    this.#concurrency = concurrency;
  }

  get free(): number {
    return this.#closed ? 0 : Math.max(0, this.#concurrency - this.#atWork.count);
  }

  start(stepId: string): void {
    void this.#atWork
      .run(() => this.#handler(stepId))
      .then(
        () => this.onFree(),
        // A handler does not reject. If one does, its step is found by the dispatcher again.
        () => this.onFree(),
      );
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.onClose();
    await this.#atWork.ended();
  }
}

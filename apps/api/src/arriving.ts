/** One upload on its way. */
export interface ArrivingUpload {
  /** Counts bytes that came, and answers how many of this user are on their way, with all uploads together. */
  add(bytes: number): number;
  /** It is a book now, or nothing. */
  end(): void;
}

/** Bytes that no book came of yet, by user: uploads that come at the same time share the room that is left. */
export class Arriving {
  readonly #byUser = new Map<string, number>();

  begin(user: string): ArrivingUpload {
    let own = 0;
    return {
      add: (bytes) => {
        own += bytes;
        return this.#change(user, bytes);
      },
      end: () => {
        this.#change(user, -own);
        own = 0;
      },
    };
  }

  #change(user: string, bytes: number): number {
    const total = (this.#byUser.get(user) ?? 0) + bytes;
    if (total > 0) this.#byUser.set(user, total);
    else this.#byUser.delete(user);
    return total;
  }
}

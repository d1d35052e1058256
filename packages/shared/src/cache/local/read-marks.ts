/** Stands for a read on its way. */
export interface ReadMark {
  readonly keys: readonly string[];
  /** What was noted for each of the keys when the read began. */
  readonly notes: readonly Note[];
}

interface Note {
  readers: number;
}

/**
 * Answers come on one connection and news of changes on another, so a value may arrive after the news that it is outdated.
 * Whoever means to keep what it reads marks the keys before it sends the command, and keeps the value only if none of
 * them changed until the answer came.
 */
export class ReadMarks {
  readonly #notes = new Map<string, Note>();

  /** Keys that are being read. */
  get size(): number {
    return this.#notes.size;
  }

  begin(keys: readonly string[]): ReadMark {
    return { keys, notes: keys.map((key) => this.#note(key)) };
  }

  /** Ends a read, exactly once for each that began, and says whether what was read may be kept. */
  end({ keys, notes }: ReadMark): boolean {
    let isCurrent = true;
    for (const [index, note] of notes.entries()) {
      const key = keys[index] as string;
      note.readers -= 1;
      // A change takes the note away; another there now belongs to reads that began later.
      if (this.#notes.get(key) !== note) isCurrent = false;
      else if (note.readers === 0) this.#notes.delete(key);
    }
    return isCurrent;
  }

  changed(key: string): void {
    this.#notes.delete(key);
  }

  allChanged(): void {
    this.#notes.clear();
  }

  #note(key: string): Note {
    const known = this.#notes.get(key);
    if (known !== undefined) {
      known.readers += 1;
      return known;
    }
    const note = { readers: 1 };
    this.#notes.set(key, note);
    return note;
  }
}

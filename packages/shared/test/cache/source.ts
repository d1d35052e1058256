import type { LoadContext } from "@mythic/shared/cache";
import { waitFor } from "@mythic/testing/wait";
import type { Note, NoteCache } from "./note.ts";

/** A source that counts how often it is asked, and answers when it is told to. */
export class Source {
  loads = 0;
  readonly contexts: LoadContext<Note>[] = [];
  #gate: PromiseWithResolvers<void> | null = null;
  #outcome: () => Note | Promise<Note> = () => ({ text: `load ${this.loads}` });

  /** The function to load with. */
  readonly load = async (context: LoadContext<Note>): Promise<Note> => {
    this.loads += 1;
    this.contexts.push(context);
    const outcome = this.#outcome;
    await this.#gate?.promise;
    return await outcome();
  };

  /** Loads that begin from now on wait for `open`. */
  close(): void {
    this.#gate = Promise.withResolvers();
  }

  open(): void {
    this.#gate?.resolve();
    this.#gate = null;
  }

  answers(text: string): void {
    this.#outcome = () => ({ text });
  }

  fails(message: string): void {
    this.#outcome = () => Promise.reject(new SourceError(message));
  }
}

export class SourceError extends Error {
  override readonly name = "SourceError";
  readonly code = "E_SOURCE";
}

/** Loads the note `1` of Ann, which takes so many milliseconds at least. The longer, the earlier may an early refresh of it begin. */
export async function loadSlowly(
  notes: NoteCache["families"]["notes"],
  source: Source,
  milliseconds = 15,
): Promise<void> {
  source.close();
  const from = performance.now();
  const loaded = notes.getOrSet("ann", "1", source.load);
  await waitFor(() => source.loads > 0 && performance.now() - from > milliseconds, { everyMs: 5 });
  source.open();
  await loaded;
}

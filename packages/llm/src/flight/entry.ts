import type { Sealer } from "../answers/sealing.ts";
import type { FlightOutcome } from "./flights.ts";

/** What a leader writes at once: the chunks since the last entry, and at last how it ended. */
export interface Entry {
  readonly chunks: readonly unknown[];
  readonly outcome?: FlightOutcome;
}

/** Entries as they are in Redis, bound to their stream and their place in it. */
export interface EntryFormat {
  write(entry: Entry, place: string): string;
  /** Null for what is no entry of this place. */
  read(text: string, place: string): Entry | null;
}

export function entryFormat(sealer: Sealer): EntryFormat {
  return {
    write: (entry, place) => sealer.seal(JSON.stringify(entry), place),
    read(text, place) {
      const json = sealer.open(text, place);
      try {
        // Written by `write` alone, to a place that nothing else uses.
        return json === null ? null : withDate(JSON.parse(json) as Entry);
      } catch {
        return null;
      }
    },
  };
}

function withDate(entry: Entry): Entry {
  if (entry.outcome?.kind !== "answer") return entry;
  const { answer } = entry.outcome;
  return {
    ...entry,
    outcome: { kind: "answer", answer: { ...answer, answeredAt: new Date(answer.answeredAt) } },
  };
}

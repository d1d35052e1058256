import { setImmediate as nextTurn } from "node:timers/promises";
import type { Day, DayRange } from "../../usage.ts";
import type { Database } from "./database.ts";

/** Sorts before every day, and after. */
export const ALL_DAYS: DayRange = { from: "", to: "~" };

/**
 * The days on which there is anything of anyone in some tables, each found by a look into an index. What goes through many rows does so
 * a day at a time, so that the event loop has its turn in between.
 */
export async function* daysOf(
  database: Database,
  tables: readonly ("ledger" | "savings")[],
  { from, to }: DayRange,
): AsyncGenerator<Day> {
  const parts = (compared: string): string =>
    tables
      .map((table) => `SELECT min(day) AS day FROM ${table} WHERE day ${compared} AND day <= $to`)
      .join(" UNION ALL ");
  const find = async (compared: string, after: Day): Promise<Day | null> => {
    const found = await database.read((statements) =>
      statements.get<{ readonly day: Day | null }>(`SELECT min(day) AS day FROM (${parts(compared)})`, {
        after,
        to,
      }),
    );
    return found?.day ?? null;
  };
  for (let day = await find(">= $after", from); day !== null; day = await find("> $after", day)) {
    yield day;
    await nextTurn();
  }
}

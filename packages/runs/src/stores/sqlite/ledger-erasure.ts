import { setImmediate as nextTurn } from "node:timers/promises";
import type { Erasure } from "../../ledger.ts";
import type { Day } from "../../usage.ts";
import type { Database, Values } from "./database.ts";
import { ALL_DAYS, daysOf } from "./ledger-days.ts";

/** Rows of one transaction. */
const ROWS_AT_ONCE = 100;

interface Condition {
  readonly where: string;
  readonly values: Values;
}

/** Removes texts a day at a time, in transactions so small that others get in between. */
export class LedgerErasure {
  readonly #database: Database;
  readonly #now: () => number;

  constructor(database: Database, now: () => number) {
    this.#database = database;
    this.#now = now;
  }

  async erase(user: string | null, erasure: Erasure): Promise<number> {
    const condition = conditionOf(erasure);
    let erased = 0;
    for await (const day of daysOf(this.#database, ["ledger"], ALL_DAYS)) {
      for await (const one of this.#usersOn(day, user)) erased += await this.#eraseDay(day, one, condition);
    }
    return erased;
  }

  async #eraseDay(day: Day, user: string, { where, values }: Condition): Promise<number> {
    const some = `UPDATE ledger SET answer = NULL, message = NULL, erased_at = $now WHERE rowid IN (
      SELECT rowid FROM ledger WHERE day = $day AND user = $user AND rowid > $after AND erased_at IS NULL AND ${where}
      ORDER BY rowid LIMIT ${ROWS_AT_ONCE})
    RETURNING rowid AS place`;
    let erased = 0;
    for (let after = 0, rows = ROWS_AT_ONCE; rows === ROWS_AT_ONCE; await nextTurn()) {
      const bound = { ...values, user, day, after, now: this.#now() };
      const places = await this.#database.write((statements) =>
        statements.all<{ readonly place: number }>(some, bound),
      );
      after = Math.max(...places.map(({ place }) => place));
      rows = places.length;
      erased += rows;
    }
    return erased;
  }

  /** Who has rows of a day, of all or of one: each found by a look into the index. */
  async *#usersOn(day: Day, user: string | null): AsyncGenerator<string> {
    const meant = user === null ? "" : "user = $user AND";
    for (let after = ""; ; ) {
      const found = await this.#database.read((statements) =>
        statements.get<{ readonly user: string | null }>(
          `SELECT min(user) AS user FROM ledger WHERE day = $day AND ${meant} user > $after`,
          { day, user, after },
        ),
      );
      if (!found?.user) return;
      after = found.user;
      yield after;
    }
  }
}

function conditionOf(erasure: Erasure): Condition {
  switch (erasure.of) {
    case "everything":
      return { where: "TRUE", values: {} };
    case "run":
      return { where: "run_id = $runId", values: { runId: erasure.runId } };
    case "book":
      return {
        where: "run_id IN (SELECT id FROM runs WHERE book_id = $bookId)",
        values: { bookId: erasure.bookId },
      };
    case "request":
      return { where: "key_id = $keyId", values: { keyId: erasure.keyId } };
    case "model":
      return { where: "$model IN (model_asked, model_answered)", values: { model: erasure.model } };
    case "recipe":
      return {
        where: "recipe = $recipe AND recipe_version = $recipeVersion",
        values: { recipe: erasure.recipe, recipeVersion: erasure.recipeVersion },
      };
  }
}

import type { Collection, Filter } from "mongodb";
import { z } from "zod";
import type { Erasure } from "../../ledger.ts";
import { type Connection, is } from "./connection.ts";
import { type LedgerDocument, ledgerIn } from "./ledger-rows.ts";
import { runsIn } from "./runs.ts";

const days = z.array(z.string());

/** Removes texts a day at a time, so that each operation ends in time. */
export class MongoErasure {
  readonly #connection: Connection;
  readonly #ledger: Collection<LedgerDocument>;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#ledger = ledgerIn(connection);
  }

  async erase(user: string | null, erasure: Erasure): Promise<number> {
    const mine = user === null ? {} : { user: is(user) };
    const which = await this.#filterOf(erasure);
    const found = await this.#connection.run(() => this.#ledger.distinct("day", mine));
    let erased = 0;
    for (const day of days.parse(found)) {
      const update = { $set: { answer: null, message: null, erasedAt: this.#connection.now() } };
      const { modifiedCount } = await this.#connection.run(() =>
        this.#ledger.updateMany({ ...mine, day, erasedAt: null, ...which }, update),
      );
      erased += modifiedCount;
    }
    return erased;
  }

  async #filterOf(erasure: Erasure): Promise<Filter<LedgerDocument>> {
    switch (erasure.of) {
      case "everything":
        return {};
      case "run":
        return { runId: is(erasure.runId) };
      case "book":
        return { runId: { $in: await this.#runsOf(erasure.bookId) } };
      case "request":
        return { keyId: is(erasure.keyId) };
      case "model":
        return { $or: [{ modelAsked: is(erasure.model) }, { modelAnswered: is(erasure.model) }] };
      case "recipe":
        return { recipe: is(erasure.recipe), recipeVersion: is(erasure.recipeVersion) };
    }
  }

  async #runsOf(bookId: string): Promise<string[]> {
    const found = await this.#connection.run((options) =>
      runsIn(this.#connection)
        .find({ bookId: is(bookId) }, { ...options, projection: { _id: 1 } })
        .toArray(),
    );
    return found.map(({ _id }) => _id);
  }
}

import { randomBytes } from "node:crypto";
import type { SecretStore } from "../../store.ts";
import type { Database } from "./database.ts";

const BYTES = 32;

export class SqliteSecrets implements SecretStore {
  readonly #database: Database;
  readonly #now: () => number;

  constructor(database: Database, now: () => number) {
    this.#database = database;
    this.#now = now;
  }

  async obtain(name: string): Promise<string> {
    const value = randomBytes(BYTES).toString("base64url");
    return await this.#database.write((statements) => {
      const kept = statements.get<{ readonly value: string }>(
        "SELECT value FROM secrets WHERE name = $name",
        { name },
      );
      if (kept) return kept.value;
      statements.run("INSERT INTO secrets (name, value, created_at) VALUES ($name, $value, $now)", {
        name,
        value,
        now: this.#now(),
      });
      return value;
    });
  }
}

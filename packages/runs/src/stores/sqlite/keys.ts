import type { ApiKey, KeyStore, Role } from "../../store.ts";
import { date, dateOrNull, msOrNull } from "./columns.ts";
import type { Database } from "./database.ts";

/** A row of `api_keys`. */
interface KeyRow {
  readonly id: string;
  readonly user: string;
  readonly role: Role;
  readonly sha256: string;
  readonly last_four: string;
  readonly created_at: number;
  readonly revoked_at: number | null;
}

export class SqliteKeys implements KeyStore {
  readonly #database: Database;
  readonly #now: () => number;

  constructor(database: Database, now: () => number) {
    this.#database = database;
    this.#now = now;
  }

  async create(key: ApiKey): Promise<void> {
    const { id, user, role, sha256, lastFour } = key;
    await this.#database.run(
      `INSERT INTO api_keys (id, user, role, sha256, last_four, created_at, revoked_at)
       VALUES ($id, $user, $role, $sha256, $lastFour, $createdAt, $revokedAt)`,
      {
        id,
        user,
        role,
        sha256,
        lastFour,
        createdAt: key.createdAt.getTime(),
        revokedAt: msOrNull(key.revokedAt),
      },
    );
  }

  async findBySha256(sha256: string): Promise<ApiKey | null> {
    const row = await this.#database.read((statements) =>
      statements.get<KeyRow>("SELECT * FROM api_keys WHERE sha256 = $sha256", { sha256 }),
    );
    return row ? keyOf(row) : null;
  }

  async list(): Promise<readonly ApiKey[]> {
    const rows = await this.#database.read((statements) =>
      statements.all<KeyRow>("SELECT * FROM api_keys ORDER BY id"),
    );
    return rows.map(keyOf);
  }

  async revoke(id: string): Promise<boolean> {
    const changed = await this.#database.run(
      "UPDATE api_keys SET revoked_at = coalesce(revoked_at, $now) WHERE id = $id",
      { id, now: this.#now() },
    );
    return changed > 0;
  }

  async wereEverMade(): Promise<boolean> {
    // Keys are revoked, never removed.
    const key = await this.#database.read((statements) => statements.get("SELECT 1 FROM api_keys LIMIT 1"));
    return key !== undefined;
  }
}

function keyOf(row: KeyRow): ApiKey {
  return {
    id: row.id,
    user: row.user,
    role: row.role,
    sha256: row.sha256,
    lastFour: row.last_four,
    createdAt: date(row.created_at),
    revokedAt: dateOrNull(row.revoked_at),
  };
}

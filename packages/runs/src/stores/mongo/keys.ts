import type { Collection } from "mongodb";
import { z } from "zod";
import type { ApiKey, KeyStore } from "../../store.ts";
import { type Connection, is, isDuplicate } from "./connection.ts";
import { fromStored, type Stored, toStored } from "./stored.ts";

type KeyDocument = Stored<ApiKey>;

const schema: z.ZodType<ApiKey> = z.object({
  id: z.string(),
  user: z.string(),
  role: z.enum(["user", "admin"]),
  sha256: z.string(),
  lastFour: z.string(),
  createdAt: z.date(),
  revokedAt: z.date().nullable(),
});

function keysIn(connection: Connection): Collection<KeyDocument> {
  return connection.db.collection<KeyDocument>("keys");
}

/** Keys are never removed, only revoked: an empty collection means that there never was one. */
export class MongoKeys implements KeyStore {
  readonly #connection: Connection;
  readonly #keys: Collection<KeyDocument>;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#keys = keysIn(connection);
  }

  async create(key: ApiKey): Promise<void> {
    try {
      await this.#connection.run(() => this.#keys.insertOne(toStored(key)));
    } catch (error) {
      if (!isDuplicate(error) || (await this.findBySha256(key.sha256))?.id !== key.id) throw error;
    }
  }

  async findBySha256(sha256: string): Promise<ApiKey | null> {
    const found = await this.#connection.run((options) =>
      this.#keys.findOne({ sha256: is(sha256) }, options),
    );
    return found && parseKey(found);
  }

  async list(): Promise<readonly ApiKey[]> {
    const found = await this.#connection.run((options) =>
      this.#keys.find({}, options).sort({ _id: 1 }).toArray(),
    );
    return found.map(parseKey);
  }

  async revoke(id: string): Promise<boolean> {
    const update = { $set: { revokedAt: this.#connection.now() } };
    const { matchedCount } = await this.#connection.run(() =>
      this.#keys.updateOne({ _id: is(id), revokedAt: null }, update),
    );
    if (matchedCount === 1) return true;
    const known = await this.#connection.run((options) => this.#keys.findOne({ _id: is(id) }, options));
    return known !== null;
  }

  async wereEverMade(): Promise<boolean> {
    const found = await this.#connection.run((options) =>
      this.#keys.findOne({}, { ...options, projection: { _id: 1 } }),
    );
    return found !== null;
  }
}

function parseKey(document: KeyDocument): ApiKey {
  return schema.parse(fromStored(document));
}

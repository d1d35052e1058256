import { randomBytes } from "node:crypto";
import type { Collection } from "mongodb";
import { z } from "zod";
import type { SecretStore } from "../../store.ts";
import { type Connection, is, isDuplicate } from "./connection.ts";

const BYTES = 32;

const schema = z.object({ _id: z.string(), value: z.string(), createdAt: z.date() });

type SecretDocument = z.infer<typeof schema>;

export class MongoSecrets implements SecretStore {
  readonly #connection: Connection;
  readonly #secrets: Collection<SecretDocument>;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#secrets = connection.db.collection<SecretDocument>("secrets");
  }

  async obtain(name: string): Promise<string> {
    return (await this.#find(name)) ?? (await this.#make(name));
  }

  async #make(name: string): Promise<string> {
    const value = randomBytes(BYTES).toString("base64url");
    try {
      await this.#connection.run(() =>
        this.#secrets.insertOne({ _id: name, value, createdAt: this.#connection.now() }),
      );
      return value;
    } catch (error) {
      const theirs = isDuplicate(error) ? await this.#find(name) : null;
      if (theirs === null) throw error;
      return theirs;
    }
  }

  async #find(name: string): Promise<string | null> {
    const found = await this.#connection.run((options) => this.#secrets.findOne({ _id: is(name) }, options));
    return found && schema.parse(found).value;
  }
}

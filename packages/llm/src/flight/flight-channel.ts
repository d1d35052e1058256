import { closeRedis, connectRedis, type RedisAddress, type RedisConnection } from "@mythic/shared/redis";

export interface FlightListener {
  /** An entry of a lead; with the id 0 a word that the lead is over. */
  told(token: string, id: number, text: string): void;
  /** Something may have been missed. */
  missed(): void;
}

/** The one connection by which a process hears of the flights it follows. It is opened when there is one. */
export class FlightChannels {
  readonly #address: RedisAddress;
  readonly #listeners = new Map<string, FlightListener>();
  #connection: RedisConnection | null = null;
  #isClosed = false;

  constructor(address: RedisAddress) {
    this.#address = address;
  }

  /** Listens to a channel until the function that is returned is called. One listener for each channel. */
  listen(channel: string, listener: FlightListener): () => void {
    this.#listeners.set(channel, listener);
    if (!this.#isClosed) this.#connection ??= this.#open();
    if (this.#connection?.status === "ready") void this.#subscribe(this.#connection, channel, listener);
    return () => {
      if (this.#listeners.get(channel) !== listener) return;
      this.#listeners.delete(channel);
      this.#connection?.unsubscribe(channel).catch(() => undefined);
    };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#connection !== null) await closeRedis(this.#connection);
  }

  async #subscribe(connection: RedisConnection, channel: string, listener: FlightListener): Promise<void> {
    try {
      await connection.subscribe(channel);
      listener.missed();
    } catch {
      // Whoever follows asks from time to time anyway.
    }
  }

  #open(): RedisConnection {
    // Of the patient kind: a connection that is idle is not given up.
    const connection = connectRedis(this.#address, "queue-consumer", { connectionName: "mythic:flights" });
    connection.on("message", (channel: string, message: string) => {
      const [, token = "", id, text = ""] = /^(\S+) (\d+) (.*)$/s.exec(message) ?? [];
      this.#listeners.get(channel)?.told(token, Number(id), text);
    });
    connection.on("ready", () => {
      for (const [name, listener] of this.#listeners) void this.#subscribe(connection, name, listener);
    });
    return connection;
  }
}

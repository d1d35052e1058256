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
    if (!this.#isClosed) void this.#subscribe(channel, listener);
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

  async #subscribe(channel: string, listener: FlightListener): Promise<void> {
    this.#connection ??= this.#open();
    try {
      await this.#connection.subscribe(channel);
      listener.missed();
    } catch {
      // Whoever follows asks from time to time anyway.
    }
  }

  #open(): RedisConnection {
    // Of the patient kind: subscriptions wait for a connection, and are renewed by the client when it comes back.
    const connection = connectRedis(this.#address, "queue-consumer", { connectionName: "mythic:flights" });
    connection.on("message", (channel: string, message: string) => {
      const [, token = "", id, text = ""] = /^(\S+) (\d+) (.*)$/s.exec(message) ?? [];
      this.#listeners.get(channel)?.told(token, Number(id), text);
    });
    connection.on("ready", () => {
      for (const listener of this.#listeners.values()) listener.missed();
    });
    return connection;
  }
}

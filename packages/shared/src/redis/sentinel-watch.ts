import { Redis, type SentinelAddress, type SentinelConnectionOptions } from "ioredis";
import { retryDelay } from "./retry-delay.ts";

/** What a Sentinel says once it knows that another server took over: the name of the primary, and two times `host port`. */
export interface SwitchedPrimary {
  readonly name: string;
  readonly from: string;
  readonly to: string;
}

const CHANNEL = "+switch-master";

/** Listens to Sentinels, also to those that were away for a while, until it is closed. */
export class SentinelWatch {
  readonly #clients: readonly Redis[];

  constructor(
    sentinels: readonly Partial<SentinelAddress>[],
    options: SentinelConnectionOptions,
    onSwitch: (switched: SwitchedPrimary) => void,
  ) {
    this.#clients = sentinels.map((sentinel) => openClient(sentinel, options));
    for (const client of this.#clients) {
      client.on("message", (_channel: string, message: string) => {
        // https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/#pubsub-messages
        const [name = "", oldHost, oldPort, newHost, newPort] = message.split(" ");
        onSwitch({ name, from: `${oldHost} ${oldPort}`, to: `${newHost} ${newPort}` });
      });
      client.on("ready", () => {
        // Lost again meanwhile: the next connection subscribes.
        client.subscribe(CHANNEL).catch(() => undefined);
      });
    }
  }

  close(): void {
    for (const client of this.#clients) client.disconnect();
  }
}

function openClient({ host, port, family }: Partial<SentinelAddress>, options: SentinelConnectionOptions) {
  const client = new Redis({
    host: host ?? "127.0.0.1",
    port: port ?? 26_379,
    family: family ?? options.family ?? 0,
    ...(options.sentinelUsername === undefined ? {} : { username: options.sentinelUsername }),
    ...(options.sentinelPassword === undefined ? {} : { password: options.sentinelPassword }),
    ...(options.sentinelTLS === undefined ? {} : { tls: options.sentinelTLS }),
    enableReadyCheck: false,
    autoResubscribe: false,
    maxRetriesPerRequest: null,
    retryStrategy: retryDelay,
  });
  // One that is not there is no reason to say anything, while others are.
  client.on("error", () => undefined);
  return client;
}

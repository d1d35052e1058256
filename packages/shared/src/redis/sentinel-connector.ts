import type { Socket } from "node:net";
import { type SentinelAddress, type SentinelConnectionOptions, SentinelConnector } from "ioredis";
import { SentinelWatch, type SwitchedPrimary } from "./sentinel-watch.ts";

/**
 * Looks for the primary with the Sentinels, and ends the connection to it when they say that there is another one, be it frozen.
 * What ioredis has for that (`failoverDetector`) goes on listening while it looks, and gives up for good when it hears of a fail-over
 * then; it also leaves for the fail-over of any other primary, and once more for each Sentinel that hears of a fail-over late.
 */
export class PersistentSentinelConnector extends SentinelConnector {
  #watch: SentinelWatch | null = null;

  /** As ioredis types it, of what it makes connectors with nothing is known. */
  constructor(options: unknown) {
    super(options as SentinelConnectionOptions);
  }

  override async connect(
    ...[emit]: Parameters<SentinelConnector["connect"]>
  ): ReturnType<SentinelConnector["connect"]> {
    this.disconnect();
    const stream = await super.connect(emit);
    stream.once(this.options.tls === undefined ? "connect" : "secureConnect", () => this.#listen(stream));
    return stream;
  }

  override disconnect(): void {
    this.#watch?.close();
    super.disconnect();
  }

  #listen(stream: Socket): void {
    if (!this.connecting || stream !== this.stream) return;
    this.#watch = new SentinelWatch(this.#sentinels(), this.options, (switched) => {
      if (this.#concerns(stream, switched)) this.disconnect();
    });
  }

  /** A replica is left when it became the primary; a primary, when it is not the one that took over. */
  #concerns(stream: Socket, { name, from, to }: SwitchedPrimary): boolean {
    if (name !== this.options.name) return false;
    const address = `${stream.remoteAddress} ${stream.remotePort}`;
    return this.options.role === "slave" ? address === from || address === to : address !== to;
  }

  /** The one that answered last is the first, now and when they are asked again. */
  #sentinels(): Partial<SentinelAddress>[] {
    const sentinels: Partial<SentinelAddress>[] = [];
    this.sentinelIterator.reset(true);
    for (let next = this.sentinelIterator.next(); !next.done; next = this.sentinelIterator.next()) {
      sentinels.push(next.value);
    }
    this.sentinelIterator.reset(false);
    return sentinels;
  }
}

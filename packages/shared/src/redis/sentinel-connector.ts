import { type SentinelConnectionOptions, SentinelConnector } from "ioredis";

/**
 * Looks for the primary with the Sentinels. That of ioredis goes on listening for fail-overs while it looks, and when it hears of
 * one then it gives up for good; this one stops listening before it looks, and listens again once it is connected.
 */
export class PersistentSentinelConnector extends SentinelConnector {
  /** As ioredis types it, of what it makes connectors with nothing is known. */
  constructor(options: unknown) {
    super(options as SentinelConnectionOptions);
  }

  override connect(
    ...[emit]: Parameters<SentinelConnector["connect"]>
  ): ReturnType<SentinelConnector["connect"]> {
    this.disconnect();
    return super.connect(emit);
  }
}

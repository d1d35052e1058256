/**
 * How changes made by others reach this process:
 * - `tracking`: Redis pushes each key that changes
 * - `pub-sub`: processes tell one another what they changed; expiry, eviction and foreign tools go unseen
 * - `lost`: nothing arrives, so nothing of Redis may be kept here
 * - `off`: there is no Redis, or it is known to be down; this process is on its own
 */
export type CoherenceState = "tracking" | "pub-sub" | "lost" | "off";

export interface CoherenceListener {
  /** Full Redis keys that changed, expired or were removed. What this process changed itself comes back, too, but for `pub-sub`. */
  invalidated(keys: readonly string[]): void;
  /** Anything may have changed. Called at each change of state, too. */
  flushed(): void;
}

export interface CoherenceFeed {
  readonly state: CoherenceState;
  /**
   * What was kept here may be used while the cache's clock shows less than this: infinite while `off`, minus infinite while `lost`, else two
   * heartbeats after the last that was answered. So it holds in a process, too, that was stopped and goes on before its timers do.
   */
  readonly trustedUntil: number;
  /** To be called once. */
  start(listener: CoherenceListener): void;
  /** Tells other processes which full Redis keys this one has changed. Does nothing while Redis does it (`tracking`). Never throws. */
  publish(keys: readonly string[]): void;
  close(): Promise<void>;
}

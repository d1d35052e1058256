import type { WakeUps } from "../wake-ups.ts";
import { openBullMqWakeUps } from "./bullmq-wake-ups.ts";
import { openLocalWakeUps } from "./local-wake-ups.ts";

export { type BullMqWakeUps, openBullMqWakeUps } from "./bullmq-wake-ups.ts";
export { openLocalWakeUps } from "./local-wake-ups.ts";

export interface WakeUpsOptions {
  /** The Redis of the queue, or null to wake this process alone. */
  readonly queueRedisUrl: string | null;
  /** Told of what went wrong with the queue; it mends itself. */
  readonly onError?: (error: unknown) => void;
}

/** Opens the way of wake-ups that is configured. Resolves within about a second, whether Redis is there or not. */
export async function openWakeUps(options: WakeUpsOptions): Promise<WakeUps> {
  const { queueRedisUrl: redisUrl, onError } = options;
  if (redisUrl === null) return openLocalWakeUps();
  return await openBullMqWakeUps({ redisUrl, ...(onError ? { onError } : {}) });
}

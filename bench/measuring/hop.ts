import { Redis } from "ioredis";
import { sharedNow } from "./clock.ts";

const CHANNEL = "hops";

/** Sends a message that says when it left, in a process that measures how long it takes to others. */
export async function sendHop(publisher: Redis): Promise<void> {
  await publisher.publish(CHANNEL, String(sharedNow()));
}

/** Gives how long the next message of each takes to this process, in milliseconds. */
export async function listenForHops(redisUrl: string): Promise<() => Promise<number>> {
  const subscriber = new Redis(redisUrl);
  const hops: number[] = [];
  let wake = () => {};
  subscriber.on("message", (_channel, sentAt) => {
    hops.push(sharedNow() - Number(sentAt));
    wake();
  });
  await subscriber.subscribe(CHANNEL);
  return async () => {
    for (;;) {
      const ms = hops.shift();
      if (ms !== undefined) return ms;
      await new Promise<void>((resolve) => (wake = resolve));
    }
  };
}

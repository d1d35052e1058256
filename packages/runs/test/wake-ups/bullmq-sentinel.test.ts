import { expect, test } from "@jest/globals";
import { startSentinel } from "@mythic/testing/redis-sentinel";
import { waitFor } from "@mythic/testing/wait";
import { Redis } from "ioredis";
import { openBullMqWakeUps } from "../../src/wake-ups/open-wake-ups.ts";
import { wakeUp } from "./wake-ups.suite.ts";

test.concurrent.each(["stop", "pause"] as const)(
  "wake-ups flow through a fail-over by Sentinels, and what waited before it is not lost (%s)",
  async (hurt) => {
    await using group = await startSentinel();
    await using wakeUps = await openBullMqWakeUps({ redisUrl: group.url });
    const { promise: opened, resolve: letGo } = Promise.withResolvers<void>();
    const delivered: string[] = [];
    wakeUps.listen(async (stepId) => {
      delivered.push(stepId);
      if (stepId === "at work") await opened;
      return { state: "done" };
    }, 1);
    await wakeUps.wake([wakeUp("at work"), wakeUp("waiting", { priority: 2 })]);
    expect(await wakeUps.wasWiped()).toBe(true);
    await waitFor(() => delivered.includes("at work"));
    await untilCopied(group.primary.url, group.replica.url);

    await group.primary[hurt]();
    await waitFor(async () => (await group.primaryPort()) === group.replica.port, { timeoutMs: 20_000 });
    letGo();
    await waitFor(() => delivered.includes("waiting"), { timeoutMs: 20_000 });
    let dispatch = 0;
    // As a dispatcher does: again, with a new number, until someone comes.
    await waitFor(
      async () => {
        dispatch += 1;
        await wakeUps.wake([wakeUp("after", { dispatch })]);
        return delivered.includes("after");
      },
      { timeoutMs: 20_000, everyMs: 200 },
    );
    expect(await wakeUps.wasWiped()).toBe(false);
  },
  60_000,
);

/** The replica has as many keys, and has read as far as the primary has written. */
async function untilCopied(primaryUrl: string, replicaUrl: string): Promise<void> {
  const [primary, replica] = [new Redis(primaryUrl), new Redis(replicaUrl)];
  await waitFor(async () => {
    // One replica answers for all writes of this connection, and those before it.
    await primary.set("mark", "set");
    return (
      Number(await primary.wait(1, 1_000)) === 1 && (await replica.dbsize()) === (await primary.dbsize())
    );
  });
  primary.disconnect();
  replica.disconnect();
}

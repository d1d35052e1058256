import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { describe, expect, test } from "@jest/globals";
import { type OpenFresh, storeForAll } from "./bench.ts";
import { newStep, unique } from "./samples.ts";

const RACERS = 4;
const STEPS = 200;

/** What one message of a racer says. */
type RacerMessage = { readonly ready?: true; readonly claimed?: readonly string[] };

function startRacer(spawnArgs: readonly string[]): ChildProcess {
  return fork(new URL("./claim-racer.ts", import.meta.url), [...spawnArgs], { execArgv: [] });
}

async function nextMessage(racer: ChildProcess): Promise<RacerMessage> {
  const ended = once(racer, "exit").then(([code]) => {
    throw new Error(`a racer ended early with ${String(code)}`);
  });
  ended.catch(() => undefined);
  const [message] = (await Promise.race([once(racer, "message"), ended])) as [RacerMessage];
  return message;
}

export function describeClaims(openFresh: OpenFresh): void {
  describe("claims of several processes", () => {
    const bench = storeForAll(openFresh);

    test("four processes that race for the same steps get each of them exactly once", async () => {
      const { store, spawnArgs } = bench;
      const user = unique("user");
      const racers = Array.from({ length: RACERS }, () => startRacer(spawnArgs));
      try {
        await Promise.all(racers.map(nextMessage));
        const steps = Array.from({ length: STEPS }, () => newStep(user));
        // The racers live by the real clock: what they race for was due a minute ago.
        bench.clock.at = Date.now() - 60_000;
        await store.steps.insert(user, steps);
        const ids = steps.map((step) => step.id);
        const results = racers.map(nextMessage);
        for (const racer of racers) racer.send(ids);
        const claimed = (await Promise.all(results)).map((message) => message.claimed ?? []);
        expect(claimed.flat().sort()).toEqual(ids.map((id) => `${id}.f1`).sort());
        expect(claimed.filter((some) => some.length > 0).length).toBeGreaterThan(1);
        const done = await store.steps.results(user, ids);
        expect(done.map((result) => result.id)).toEqual(ids.map((id) => `${id}.f1`));
      } finally {
        for (const racer of racers) racer.kill("SIGKILL");
      }
    }, 60_000);

    test("of many claims at once in one process one gets the step", async () => {
      const user = unique("user");
      const step = newStep(user);
      await bench.store.steps.insert(user, [step]);
      const claims = await Promise.all(
        Array.from({ length: 20 }, (_, at) => bench.store.steps.claim(step.id, `worker-${at}`, 1_000)),
      );
      expect(claims.filter((claim) => claim !== null)).toHaveLength(1);
    });
  });
}

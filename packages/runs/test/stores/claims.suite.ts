import { describe, expect, test } from "@jest/globals";
import { type OpenFresh, storeForAll } from "./bench.ts";
import { startRacers } from "./racers.ts";
import { newStep, unique } from "./samples.ts";

const RACERS = 4;
const STEPS = 200;

/** What one message of a racer says. */
type RacerMessage = { readonly ready?: true; readonly claimed?: readonly string[] };

export function describeClaims(openFresh: OpenFresh): void {
  describe("claims of several processes", () => {
    const bench = storeForAll(openFresh);

    test("four processes that race for the same steps get each of them exactly once", async () => {
      const { store, spawnArgs } = bench;
      const user = unique("user");
      using started = startRacers<RacerMessage>(
        new URL("./claim-racer.ts", import.meta.url),
        spawnArgs,
        RACERS,
      );
      const { racers } = started;
      await Promise.all(racers.map((racer) => racer.next()));
      const steps = Array.from({ length: STEPS }, () => newStep(user));
      // The racers live by the real clock: what they race for was due a minute ago.
      bench.clock.at = Date.now() - 60_000;
      await store.steps.insert(user, steps);
      const ids = steps.map((step) => step.id);
      const results = racers.map((racer) => racer.next());
      for (const racer of racers) racer.send(ids);
      const claimed = (await Promise.all(results)).map((message) => message.claimed ?? []);
      expect(claimed.flat().sort()).toEqual(ids.map((id) => `${id}.f1`).sort());
      expect(claimed.filter((some) => some.length > 0).length).toBeGreaterThan(1);
      const done = await store.steps.results(user, ids);
      expect(done.map((result) => result.id)).toEqual(ids.map((id) => `${id}.f1`));
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

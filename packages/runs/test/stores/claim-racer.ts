/**
 * A process of its own that races others for steps: `claim-racer.ts <mongodb url or empty> <data directory>`. Opens the store,
 * says so, waits for the ids, claims what it can and answers what it got.
 */
import { once } from "node:events";
import { openStore } from "../../src/stores/open-store.ts";

const [mongodbUrl = "", dataDir = ""] = process.argv.slice(2);
const store = await openStore({ mongodbUrl: mongodbUrl === "" ? null : mongodbUrl, dataDir });
process.send?.({ ready: true });
const [ids] = (await once(process, "message")) as [string[]];
const owner = `racer-${process.pid}`;
const claimed: string[] = [];
for (const id of ids) {
  const step = await store.steps.claim(id, owner, 60_000);
  if (step === null) continue;
  claimed.push(`${id}.f${step.fence}`);
  await store.steps.complete(id, step.fence, { value: owner, reusedAnswers: 0 });
}
await store[Symbol.asyncDispose]();
process.send?.({ claimed });
process.disconnect();

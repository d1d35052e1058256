/**
 * A process of its own that pays for the same as others at the same time: `ledger-racer.ts <mongodb url or empty> <data directory>`.
 * Opens the store and one call for each request, says so, and on a word settles them all and counts as much as saved. Answers the
 * secret that it was given.
 */
import { once } from "node:events";
import { openStore } from "../../src/stores/open-store.ts";
import { opening, saved, settlement } from "./samples.ts";

const REQUESTS = 50;

const [mongodbUrl = "", dataDir = ""] = process.argv.slice(2);
const store = await openStore({ mongodbUrl: mongodbUrl === "" ? null : mongodbUrl, dataDir });
const secret = await store.secrets.obtain("of the racers");
const calls = Array.from({ length: REQUESTS }, (_, request) =>
  opening({ id: `${process.pid}.${request}`, keyId: `v1.request-${request}` }),
);
for (const call of calls) await store.ledger.open("racers", call);
process.send?.({ ready: true });
await once(process, "message");
for (const call of calls) {
  await store.ledger.settle("racers", call.id, settlement());
  await store.ledger.countSaved("racers", saved());
}
await store[Symbol.asyncDispose]();
process.send?.({ secret });
process.disconnect();

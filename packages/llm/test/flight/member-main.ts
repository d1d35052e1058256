/**
 * A process that takes part in a flight with some callers, and says in lines what comes of it:
 * `<caller> <texts of chunks, | for a reset>` and `<caller> = <role> <text of the answer or code of the failure>`.
 */
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { openGuardedRedis, waitForRedis } from "@mythic/shared/redis";
import { PATIENT_MS } from "@mythic/testing/redis";
import type { FlightEvent, Lead } from "../../src/flight/flights.ts";
import { openFlights } from "../../src/flight/open-flights.ts";
import { ModelError } from "../../src/model-error.ts";
import { answerOf, chunkOf, textOf } from "./leads.ts";

const { REDIS = "", UPSTREAM = "", NAMESPACE = "", LEASE_MS, CALLERS, LEAVE_AT } = process.env;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

const lead: Lead = async (leading) => {
  const response = await fetch(UPSTREAM, { signal: leading.signal });
  let text = "";
  if (response.body === null) throw new Error("There is no body.");
  for await (const line of createInterface(Readable.fromWeb(response.body))) {
    if (line === "!") throw new ModelError("model_unavailable", "The upstream failed.");
    if (line === ".") {
      say(`holds ${await leading.holds()}`);
      return answerOf(text);
    }
    text += line;
    leading.emit(chunkOf(line));
  }
  throw new ModelError("model_unavailable", "The upstream hung up.");
};

const redis = openGuardedRedis(REDIS, { commandTimeoutMs: PATIENT_MS });
await waitForRedis(redis, 10_000);
const flights = openFlights({
  redis,
  namespace: NAMESPACE,
  leaseMs: Number(LEASE_MS),
  onEvent: ({ kind }) => say(`note ${kind}`),
});

function endOf({ outcome, role }: FlightEvent & { readonly type: "end" }): string {
  return `= ${role} ${outcome.kind === "answer" ? outcome.answer.text : outcome.failure.code}`;
}

async function takePart(caller: number): Promise<void> {
  let read = "";
  for await (const event of flights.join("v1.a-key", { signal: AbortSignal.timeout(60_000), lead })) {
    read += textOf(event);
    say(`${caller} ${event.type === "end" ? endOf(event) : read}`);
    if (read === LEAVE_AT) return say(`${caller} left`);
  }
}

say("ready");
await Promise.all(Array.from({ length: Number(CALLERS) }, (_, caller) => takePart(caller)));
// It lives on, as a server does whose callers have gone.
setInterval(() => undefined, 60_000);

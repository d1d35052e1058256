import { expect, test } from "@jest/globals";
import { openFlights } from "../../src/flight/open-flights.ts";
import { describeFlights } from "./flights.suite.ts";
import { Leads } from "./leads.ts";
import { useSetUp } from "./set-up.ts";

describeFlights(useSetUp(null));

test("who comes at once after the last one left, or after the end, is not told that somebody else leads", async () => {
  const flights = openFlights({ redis: null, namespace: "test" });
  const leads = new Leads();
  const leaving = new AbortController();
  const stays = new AbortController();
  const enter = (signal: AbortSignal) => flights.leadOrNot("v1.a-key", { signal, lead: leads.lead });
  const first = enter(leaving.signal);
  const left = await leads.at(0);
  leaving.abort();
  await first.catch(() => undefined);
  const second = enter(stays.signal);
  (await leads.at(1)).answer("a");
  expect(await second).toMatchObject({ kind: "answer", role: "leader" });
  const third = enter(stays.signal);
  (await leads.at(2)).answer("b");
  expect(await third).toMatchObject({ kind: "answer", role: "leader" });
  expect(left.signal.aborted).toBe(true);
  await flights.close();
});

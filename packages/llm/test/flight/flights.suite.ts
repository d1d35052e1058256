import { describe, expect, test } from "@jest/globals";
import { waitFor } from "@mythic/testing/wait";
import { ModelError } from "../../src/model-error.ts";
import { answerOf, chunkOf, Leads, Reading } from "./leads.ts";
import type { Member, SetUp } from "./set-up.ts";

const KEY = "v1.a-key";
const never = new AbortController().signal;

/** What holds with and without Redis. Members are processes where there is Redis, and the same process where there is none. */
export function describeFlights(setUp: SetUp): void {
  /** Two members of which the first leads already. */
  async function openLed(options: { readonly leaseMs?: number } = {}) {
    const [one, two] = (await setUp.open(2, options)) as [Member, Member];
    const leads = new Leads();
    const join = ({ flights }: Member, keyId = KEY) =>
      new Reading((signal) => flights.join(keyId, { signal, lead: leads.lead }));
    const leader = join(one);
    const lead = await leads.at(0);
    return { one, two, leads, join, leader, lead };
  }

  describe("a flight", () => {
    test("is led once for all who join, and all get the same, as it comes", async () => {
      const { one, two, leads, join, leader, lead } = await openLed();
      const others = Array.from({ length: 10 }, (_, index) => join(index % 2 === 0 ? one : two));
      for (const [index, letter] of [..."abc"].entries()) {
        lead.emit(letter);
        for (const reading of [leader, ...others]) await reading.until("abc".slice(0, index + 1));
      }
      lead.answer("abc");
      await Promise.all([leader, ...others].map(({ done }) => done));
      const outcome = { kind: "answer", answer: answerOf("abc") };
      expect(leader.end).toEqual({ type: "end", outcome, role: "leader" });
      for (const { end } of others) expect(end).toEqual({ type: "end", outcome, role: "follower" });
      expect(leads.begun.length).toBe(1);
    });

    test("gives chunks as they were, to who is late, too", async () => {
      const { two, join, leader, lead } = await openLed();
      for (const letter of "abcdefgh") lead.emit(letter);
      await leader.until("abcdefgh");
      const late = join(two);
      await late.until("abcdefgh");
      lead.emit("i");
      await late.until("abcdefghi");
      lead.answer("abcdefghi");
      await late.done;
      expect(late.events.slice(0, 9)).toEqual(
        [..."abcdefghi"].map((text) => ({ type: "chunk", chunk: chunkOf(text) })),
      );
    });

    test("is of one key: another key is led by itself", async () => {
      const { two, leads, join } = await openLed();
      join(two, "v1.another");
      await leads.at(1);
    });

    test("is forgotten when it has ended", async () => {
      const { two, leads, join, leader, lead } = await openLed();
      lead.answer("a");
      await leader.done;
      const later = join(two);
      (await leads.at(1)).answer("b");
      await later.done;
      expect(later.end).toMatchObject({ role: "leader", outcome: { answer: { text: "b" } } });
    });

    test("that fails does so for all who wait, and for nobody after", async () => {
      const { two, leads, join, leader, lead } = await openLed();
      const follower = join(two);
      lead.emit("a");
      await follower.until("a");
      lead.fail(
        new ModelError("model_rate_limited", "Too many.", { retryAfterMs: 90_000, retryable: false }),
      );
      await Promise.all([leader.done, follower.done]);
      const failure = {
        code: "model_rate_limited",
        message: "Too many.",
        retryable: false,
        status: null,
        retryAfterMs: 90_000,
        mayBePaid: false,
      };
      expect(leader.end).toMatchObject({ role: "leader", outcome: { kind: "failed", failure } });
      expect(follower.end).toMatchObject({ role: "follower", outcome: { kind: "failed", failure } });
      join(two);
      await leads.at(1);
    });

    test("that has ended is nothing to who comes at once after it, from the same process", async () => {
      const { one, leads, join, leader, lead } = await openLed();
      lead.emit("a");
      lead.fail(new ModelError("model_unavailable", "The upstream failed."));
      await leader.done;
      const again = join(one);
      const second = await leads.at(1);
      second.emit("b");
      second.answer("b");
      await again.done;
      expect(again.end).toMatchObject({ role: "leader", outcome: { answer: { text: "b" } } });
      const last = one.flights.leadOrNot(KEY, { signal: never, lead: leads.lead });
      (await leads.at(2)).answer("c");
      expect(await last).toMatchObject({ role: "leader", answer: { text: "c" } });
    });

    test("whose lead is faulty throws the fault at the callers of its process", async () => {
      const { one, join, leader, lead } = await openLed();
      const beside = join(one);
      const fault = new TypeError("secret is not a function");
      lead.fail(fault);
      await Promise.all([leader.done, beside.done]);
      expect([leader.error, beside.error]).toEqual([fault, fault]);
    });

    test("goes on when a follower leaves", async () => {
      const { one, two, leads, join, leader, lead } = await openLed();
      const leaving = [join(one), join(two)];
      lead.emit("a");
      for (const reading of leaving) {
        await reading.until("a");
        await reading.leave();
        expect(reading.error).toMatchObject({ name: "AbortError" });
      }
      lead.emit("b");
      await leader.until("ab");
      lead.answer("ab");
      await leader.done;
      expect(leader.end).toMatchObject({ outcome: { answer: { text: "ab" } } });
      expect([lead.signal.aborted, leads.begun.length]).toEqual([false, 1]);
    });

    test("goes on when its leader's caller leaves while anyone listens", async () => {
      const { two, leads, join, leader, lead } = await openLed();
      const follower = join(two);
      lead.emit("a");
      await follower.until("a");
      await leader.leave();
      lead.emit("b");
      await follower.until("ab");
      lead.answer("ab");
      await follower.done;
      expect(follower.end).toMatchObject({ role: "follower", outcome: { answer: { text: "ab" } } });
      expect([lead.signal.aborted, leads.begun.length]).toEqual([false, 1]);
    });

    test.each(["the leader's caller", "the follower"])(
      "is aborted upstream when all have left, %s last, and the next who joins leads anew",
      async (last) => {
        const { one, two, leads, join, leader, lead } = await openLed();
        const follower = join(two);
        lead.emit("a");
        await Promise.all([leader.until("a"), follower.until("a")]);
        const leaving = last === "the follower" ? [leader, follower] : [follower, leader];
        for (const reading of leaving) {
          expect(lead.signal.aborted).toBe(false);
          await reading.leave();
        }
        await waitFor(() => lead.signal.aborted, { what: "the lead to be aborted" });
        expect(one.notes).toContain("abandoned");
        const next = join(one);
        (await leads.at(1)).answer("b");
        await next.done;
        expect(next.end).toMatchObject({ outcome: { answer: { text: "b" } } });
      },
    );

    test("is joined by leaving the loop as well as by the signal", async () => {
      const { two, leads, leader, lead } = await openLed();
      const reading = (async () => {
        for await (const event of two.flights.join(KEY, { signal: never, lead: leads.lead })) return event;
        return null;
      })();
      lead.emit("a");
      expect(await reading).toEqual({ type: "chunk", chunk: chunkOf("a") });
      await leader.leave();
      await waitFor(() => lead.signal.aborted);
    });

    test("holds as long as it is led", async () => {
      const { lead } = await openLed();
      expect(await lead.holds()).toBe(true);
    });

    test("outlives the lease of a lead that is silent", async () => {
      const { two, leads, join, lead } = await openLed({ leaseMs: 1_500 });
      const follower = join(two);
      const since = performance.now();
      await waitFor(() => performance.now() - since > 2_300);
      lead.emit("a");
      await follower.until("a");
      expect([leads.begun.length, lead.signal.aborted, await lead.holds()]).toEqual([1, false, true]);
    });

    test("is not joined by a signal that is aborted", async () => {
      const [one] = (await setUp.open(1)) as [Member];
      const leads = new Leads();
      const events = one.flights.join(KEY, { signal: AbortSignal.abort(), lead: leads.lead });
      await expect(async () => {
        for await (const _ of events);
      }).rejects.toMatchObject({ name: "AbortError" });
      expect(leads.begun).toEqual([]);
    });
  });

  describe("who leads or does not", () => {
    test("leads when nobody does, and others join", async () => {
      const [one, two] = (await setUp.open(2)) as [Member, Member];
      const leads = new Leads();
      const led = one.flights.leadOrNot(KEY, { signal: never, lead: leads.lead });
      const lead = await leads.at(0);
      const follower = new Reading((signal) => two.flights.join(KEY, { signal, lead: leads.lead }));
      lead.emit("a");
      await follower.until("a");
      lead.answer("a");
      expect(await led).toEqual({ kind: "answer", answer: answerOf("a"), role: "leader" });
      await follower.done;
      expect(follower.end).toMatchObject({ role: "follower" });
    });

    test("is told until when somebody else does", async () => {
      const { one, two, leads } = await openLed({ leaseMs: 4_000 });
      for (const { flights } of [one, two]) {
        const before = Date.now();
        const busy = await flights.leadOrNot(KEY, { signal: never, lead: leads.lead });
        expect(busy).toEqual({ kind: "busy", until: expect.any(Date) });
        const until = busy.kind === "busy" ? busy.until.getTime() : Number.NaN;
        expect(until).toBeGreaterThan(before);
        expect(until).toBeLessThanOrEqual(Date.now() + 4_000);
      }
      expect(leads.begun.length).toBe(1);
    });

    test("does not keep a flight up by having asked", async () => {
      // Whoever is waited for by another is heard of with the next renewal, a third of a lease later.
      const { two, leads, leader, lead } = await openLed({ leaseMs: 60_000 });
      await two.flights.leadOrNot(KEY, { signal: never, lead: leads.lead });
      await leader.leave();
      await waitFor(() => lead.signal.aborted, { what: "the lead to be aborted" });
    });

    test("is given the failure of its own lead", async () => {
      const [one] = (await setUp.open(1)) as [Member];
      const lead = () => Promise.reject(new ModelError("model_timeout", "Late."));
      const outcome = await one.flights.leadOrNot(KEY, { signal: never, lead });
      expect(outcome).toMatchObject({ kind: "failed", role: "leader", failure: { code: "model_timeout" } });
    });
  });

  describe("who waits for the end only", () => {
    test("is woken by it", async () => {
      const { two, join, leader, lead } = await openLed();
      let isOver = false;
      const over = two.flights.ended(KEY, 20_000, never).then(() => {
        isOver = true;
      });
      const follower = join(two);
      lead.emit("a");
      await follower.until("a");
      expect(isOver).toBe(false);
      lead.answer("a");
      await Promise.all([over, leader.done, follower.done]);
    });

    test("waits no longer than it wants to", async () => {
      const { two, lead } = await openLed();
      await two.flights.ended(KEY, 30, never);
      expect(lead.signal.aborted).toBe(false);
    });

    test("does not wait for what is not there, and leads nothing", async () => {
      const [one] = (await setUp.open(1)) as [Member];
      await one.flights.ended(KEY, 60_000, never);
      expect(one.notes).toEqual([]);
    });

    test("is one for whom the flight goes on", async () => {
      const { two, leader, lead } = await openLed();
      const over = two.flights.ended(KEY, 20_000, never);
      const patient = new Reading((signal) =>
        two.flights.join(KEY, { signal, lead: async () => answerOf("?") }),
      );
      lead.emit("a");
      await patient.until("a");
      await patient.leave();
      await leader.leave();
      expect(await lead.holds()).toBe(true);
      lead.answer("a");
      await over;
      expect(lead.signal.aborted).toBe(false);
    });

    test("stops waiting when told to", async () => {
      const { two } = await openLed();
      const stopping = new AbortController();
      const over = two.flights.ended(KEY, 20_000, stopping.signal);
      stopping.abort();
      await expect(over).rejects.toMatchObject({ name: "AbortError" });
    });
  });

  test("closed flights throw at their callers and take none", async () => {
    const { one, join, leader, lead } = await openLed();
    await one.flights.close();
    await leader.done;
    expect(leader.error).toMatchObject({ message: "The flights were closed." });
    expect(lead.signal.aborted).toBe(true);
    const late = join(one);
    await late.done;
    expect(late.error).toMatchObject({ message: "The flights were closed." });
  });

  test("no key is kept for ever, while a flight is under way and after", async () => {
    const { two, join, leader, lead } = await openLed();
    const follower = join(two);
    lead.emit("a");
    await follower.until("a");
    const during = await setUp.keysLeft();
    lead.answer("a");
    await Promise.all([leader.done, follower.done]);
    const after = await setUp.keysLeft();
    for (const ms of [...during.values(), ...after.values()]) {
      expect(ms).toBeGreaterThan(0);
      expect(ms).toBeLessThanOrEqual(60_000);
    }
  });
}

import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { waitFor } from "@mythic/testing/wait";
import { type Crew, callsOf, gather, keyOf, type Member, measureHop, median } from "./crew.ts";
import type { StampedeResult } from "./notes-child.ts";
import { sharedNow } from "./orders.ts";

const PROCESSES = 4;
const CALLERS = 250;
const LOAD_MS = 800;
/** For all processes to have read the order. */
const NOTICE_MS = 500;
/** Where a holder is to die: short, so that its death is noticed soon. */
const LEASE_MS = 2_000;
/** What a busy machine may add to that. */
const BUSY_MS = 3_000;
/** The longest that a waiter goes without asking again when no push wakes it. */
const LONGEST_POLL_MS = 500;

let crew: Crew;

beforeAll(async () => {
  crew = await gather({ size: PROCESSES, leaseMs: LEASE_MS });
});
afterAll(async () => {
  await crew[Symbol.asyncDispose]();
});

async function stampede(members: readonly Member[], id: string, fails: boolean) {
  const beginsAt = sharedNow() + NOTICE_MS;
  const order = { id, callers: CALLERS, loadMs: LOAD_MS, fails, beginsAt };
  return await Promise.all(members.map((member) => member.order("stampede", order)));
}

function loadsIn(results: readonly StampedeResult[]): number {
  return results.reduce((sum, { loads }) => sum + loads, 0);
}

describe("four processes with 250 callers each, who ask for one value at the same moment", () => {
  test("load it once [bentocache#2, cacheable#1201, DistributedLockerWorks]", async () => {
    const results = await stampede(crew.members, "cold", false);
    expect(results.map(({ answers }) => answers)).toEqual(
      Array.from({ length: PROCESSES }, () => new Map([["cold", CALLERS]])),
    );
    expect(loadsIn(results)).toBe(1);
  });

  test("try to load it once when that fails, and all get the error", async () => {
    const results = await stampede(crew.members, "gone", true);
    expect(results.map(({ answers }) => answers)).toEqual(
      Array.from({ length: PROCESSES }, () => new Map([["SourceError E_SOURCE There is no gone.", CALLERS]])),
    );
    expect(loadsIn(results)).toBe(1);
  });

  test("load it once more when the process that loads it is killed, and all others get it", async () => {
    const holder = await crew.join();
    await holder.order("ask", { id: "orphan", text: "never" });
    await holder.order("begun", "orphan");
    const callsBefore = await callsOf(crew.stranger, "evalsha");
    const waiting = stampede(crew.members, "orphan", false);
    await waitFor(async () => (await callsOf(crew.stranger, "evalsha")) >= callsBefore + PROCESSES);
    const killedAt = sharedNow();
    holder.signal("SIGKILL");
    const results = await waiting;
    expect(results.map(({ answers }) => answers)).toEqual(
      Array.from({ length: PROCESSES }, () => new Map([["orphan", CALLERS]])),
    );
    // With that of the holder, two.
    expect(loadsIn(results)).toBe(1);
    const waitedMs = Math.max(...results.map(({ settledAt }) => settledAt)) - killedAt - LOAD_MS;
    expect(waitedMs).toBeLessThan(LEASE_MS + LONGEST_POLL_MS + BUSY_MS);
  });

  test("keep a lease for as long as the load takes", async () => {
    const [holder, other] = crew.members as [Member, Member];
    await holder.order("ask", { id: "slow", text: "at last" });
    await holder.order("begun", "slow");
    await other.order("ask", { id: "slow", text: "too early" });
    const seen = new Set<string | null>();
    const endsAt = sharedNow() + 1.5 * LEASE_MS;
    await waitFor(async () => {
      seen.add(await crew.stranger.get(keyOf("slow", "l")));
      return sharedNow() > endsAt;
    });
    expect(seen.size).toBe(1);
    await holder.order("release", "slow");
    expect(await other.order("answer", "slow")).toMatchObject({ text: "at last", loadedAt: null });
  });
});

describe("who waits for another process's load", () => {
  test("is woken by a push when it ends, and does not wait for its next poll", async () => {
    const [holder, waiter] = crew.members as [Member, Member];
    const waits: number[] = [];
    for (let round = 0; round < 7; round += 1) {
      const id = `pushed-${round}`;
      await holder.order("ask", { id, text: "loaded" });
      await holder.order("begun", id);
      const callsBefore = await callsOf(crew.stranger, "evalsha");
      await waiter.order("ask", { id, text: "not needed" });
      await waitFor(async () => (await callsOf(crew.stranger, "evalsha")) > callsBefore, { everyMs: 2 });
      await holder.order("release", id);
      const { loadedAt } = await holder.order("answer", id);
      const { text, at } = await waiter.order("answer", id);
      expect(text).toBe("loaded");
      waits.push(at - (loadedAt ?? Number.NaN));
    }
    // Storing, the push and asking again are five hops; a poll comes after hundreds.
    expect(median(waits)).toBeLessThan(20 * (await measureHop(crew.stranger, waiter)));
  });

  test("is woken when it fails, too", async () => {
    const [holder, waiter] = crew.members as [Member, Member];
    const order = { id: "failing", callers: 1, loadMs: LOAD_MS, fails: true, beginsAt: 0 };
    const failing = holder.order("stampede", order);
    await waitFor(() => crew.stranger.exists(keyOf("failing", "l")), { everyMs: 2 });
    const waiting = waiter.order("stampede", order);
    const ends = (await Promise.all([failing, waiting])).map(({ settledAt }) => settledAt);
    expect(Math.abs((ends[0] ?? 0) - (ends[1] ?? 0))).toBeLessThan(LOAD_MS);
  });
});

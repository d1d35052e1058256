import { describe, expect, test } from "@jest/globals";
import { waitFor } from "@mythic/testing/wait";
import { WAYS } from "./invalidations.suite.ts";
import { openNotes, openTwo, type SetUp } from "./set-up.ts";
import { loadSlowly, Source } from "./source.ts";

/** News of changes take less than a millisecond. */
const SOON = { everyMs: 1 };

/** By how much two caches may differ about the time of Redis, as theirs stands still while they ask for it one after the other. */
const AGREEMENT_MS = 5_000;

/** What two caches with the same keys have to do with each other, here and there, as in two processes. */
export function describeSharing(setUp: SetUp): void {
  const { clock } = setUp;
  const MINUTE = 60_000;

  describe("two caches on one Redis", () => {
    test("have the same values, and agree on when they end [MemoryExpirationAlignedWithDistributed]", async () => {
      const { here, there } = await openTwo(setUp);
      await here.notes.set("ann", "1", { text: "hello" });
      clock.advance(MINUTE - AGREEMENT_MS);
      expect(await there.notes.get("ann", "1")).toEqual({ text: "hello" });
      expect(await here.notes.get("ann", "1")).toEqual({ text: "hello" });
      clock.advance(2 * AGREEMENT_MS);
      expect(await there.notes.get("ann", "1")).toBeUndefined();
      expect(await here.notes.get("ann", "1")).toBeUndefined();
    });

    test("hear of each other's changes to what they have in memory", async () => {
      const { here, there } = await openTwo(setUp);
      await here.notes.set("ann", "1", { text: "old" });
      await waitFor(async () => (await there.notes.get("ann", "1"))?.text === "old", SOON);
      await here.notes.set("ann", "1", { text: "new" });
      await waitFor(async () => (await there.notes.get("ann", "1"))?.text === "new", SOON);
      await there.notes.delete("ann", "1");
      await waitFor(async () => (await here.notes.get("ann", "1")) === undefined, SOON);
    });

    test("need not hear of anything when they keep nothing in memory [CanIgnoreIncomingBackplaneNotifications]", async () => {
      const { here, there } = await openTwo(setUp, {}, { local: null });
      await here.notes.set("ann", "1", { text: "old" });
      expect(await there.notes.get("ann", "1")).toEqual({ text: "old" });
      await there.notes.set("ann", "1", { text: "new" });
      expect(await here.notes.get("ann", "1")).toEqual({ text: "new" });
    });

    test("load a value once [DistributedLockerWorks, bentocache#2, cacheable#1201]", async () => {
      const { here, there } = await openTwo(setUp);
      const source = new Source();
      source.close();
      const callers = [here, there].flatMap(({ notes }) =>
        Array.from({ length: 50 }, () => notes.getOrSet("ann", "1", source.load)),
      );
      await waitFor(() => source.loads > 0, SOON);
      source.open();
      expect(new Set((await Promise.all(callers)).map(({ text }) => text))).toEqual(new Set(["load 1"]));
      expect(source.loads).toBe(1);
    });

    test("fail to load a value once", async () => {
      const { here, there } = await openTwo(setUp);
      const source = new Source();
      source.fails("The source is gone.");
      source.close();
      const callers = [here, there].flatMap(({ notes }) =>
        Array.from({ length: 5 }, () => notes.getOrSet("ann", "1", source.load)),
      );
      const settled = Promise.allSettled(callers);
      await waitFor(() => source.loads > 0, SOON);
      source.open();
      for (const outcome of await settled) {
        const reason = { name: "SourceError", message: "The source is gone.", code: "E_SOURCE" };
        expect(outcome).toMatchObject({ status: "rejected", reason });
      }
      expect(source.loads).toBe(1);
    });

    test("refresh a value early once, and both serve the old one meanwhile [DistributedLockerWorksWithEagerRefresh]", async () => {
      const { here, there } = await openTwo(setUp, { earlyRefresh: true });
      const source = new Source();
      await loadSlowly(here.notes, source, 150);
      source.close();
      // Not so near to the end that one of the two takes it for over.
      clock.advance(MINUTE - 600);
      const askBoth = () =>
        Promise.all([here, there].map(({ notes }) => notes.getOrSet("ann", "1", source.load)));
      await waitFor(async () => {
        expect(await askBoth()).toEqual([{ text: "load 1" }, { text: "load 1" }]);
        return source.loads === 2;
      }, SOON);
      for (let round = 0; round < 5; round += 1) await askBoth();
      expect(source.loads).toBe(2);
      source.open();
      for (const { notes } of [here, there]) {
        await waitFor(async () => (await notes.get("ann", "1"))?.text === "load 2", SOON);
      }
    });

    test("both get what a slow load brings in the end [BackgroundFactoryCompleteNotifyOtherNodes]", async () => {
      const { here, there } = await openTwo(setUp, { graceMs: MINUTE, softTimeoutMs: 5 });
      await here.notes.set("ann", "1", { text: "old" });
      expect(await there.notes.get("ann", "1")).toEqual({ text: "old" });
      clock.advance(MINUTE + AGREEMENT_MS);
      const source = new Source();
      source.close();
      expect(await here.notes.getOrSet("ann", "1", source.load)).toEqual({ text: "old" });
      expect(await there.notes.getOrSet("ann", "1", source.load)).toEqual({ text: "old" });
      source.open();
      for (const { notes } of [here, there]) {
        await waitFor(async () => (await notes.get("ann", "1"))?.text === "load 1", SOON);
      }
      expect(source.loads).toBe(1);
    });

    test.each(WAYS)(
      "do not store what one loads while the other invalidates it by $way",
      async ({ invalidate }) => {
        const { here, there } = await openTwo(setUp, { tags: () => ["all"], graceMs: MINUTE });
        const source = new Source();
        source.close();
        const waiting = here.notes.getOrSet("ann", "1", source.load);
        await waitFor(() => source.loads === 1, SOON);
        await invalidate(there.cache);
        // Nor does who asks now wait for it.
        expect(await there.notes.getOrSet("ann", "1", () => ({ text: "after" }))).toEqual({ text: "after" });
        source.open();
        expect(await waiting).toEqual({ text: "load 1" });
        expect(await there.notes.get("ann", "1")).toEqual({ text: "after" });
        await waitFor(async () => (await here.notes.get("ann", "1"))?.text === "after", SOON);
      },
    );

    test("serve nothing in grace that was invalidated while they waited for each other", async () => {
      const { here, there } = await openTwo(setUp, { graceMs: MINUTE });
      await here.notes.set("ann", "1", { text: "old" });
      expect(await there.notes.get("ann", "1")).toEqual({ text: "old" });
      clock.advance(MINUTE + AGREEMENT_MS);
      const source = new Source();
      source.close();
      const waiting = here.notes.getOrSet("ann", "1", source.load);
      await waitFor(() => source.loads === 1, SOON);
      const failing = there.notes.getOrSet("ann", "1", () =>
        Promise.reject(new Error("The source is gone.")),
      );
      await here.notes.delete("ann", "1");
      await expect(failing).rejects.toThrow("The source is gone.");
      source.open();
      await waiting;
    });

    test("let the higher revision win, wherever it comes from", async () => {
      const { here, there } = await openTwo(setUp, { revision: (note) => note.revision ?? 0 });
      const gate = Promise.withResolvers<void>();
      const begun = Promise.withResolvers<void>();
      const waiting = here.notes.getOrSet("ann", "1", async () => {
        begun.resolve();
        await gate.promise;
        return { text: "read before", revision: 4 };
      });
      await begun.promise;
      expect(await there.notes.set("ann", "1", { text: "written through", revision: 5 })).toBe(true);
      gate.resolve();
      expect(await waiting).toEqual({ text: "written through", revision: 5 });
      expect(await here.notes.set("ann", "1", { text: "late", revision: 4 })).toBe(false);
      for (const { notes } of [here, there]) expect((await notes.get("ann", "1"))?.revision).toBe(5);
    });

    test("clear what the other has, though they have seen nothing of it [CanClearWithColdStarts]", async () => {
      const { here, there } = await openTwo(setUp);
      await here.notes.set("ann", "1", { text: "old" });
      await here.notes.get("ann", "1");
      expect(await there.cache.clear()).toBe(1);
      await waitFor(async () => (await here.notes.get("ann", "1")) === undefined, SOON);
      expect(await there.notes.get("ann", "1")).toBeUndefined();
    });

    test("tell what each of them did", async () => {
      const { here, there } = await openTwo(setUp);
      await here.notes.getOrSet("ann", "1", () => ({ text: "loaded" }));
      await there.notes.get("ann", "1");
      expect(here.cache.own().families["notes"]).toMatchObject({ loads: 1, hits: { redis: 0 } });
      expect(there.cache.own().families["notes"]).toMatchObject({ loads: 0, hits: { redis: 1 } });
    });
  });

  describe("who watches a value", () => {
    test.each([
      { what: "a write", change: "set" },
      { what: "a removal", change: "delete" },
    ] as const)("hears of $what elsewhere", async ({ change }) => {
      const { here, there } = await openTwo(setUp);
      await here.notes.set("ann", "1", { text: "old" });
      expect(await there.notes.get("ann", "1")).toEqual({ text: "old" });
      const changed = Promise.withResolvers<void>();
      there.notes.watch("ann", "1", () => changed.resolve());
      if (change === "set") await here.notes.set("ann", "1", { text: "new" });
      else await here.notes.delete("ann", "1");
      await changed.promise;
    });

    test.each(WAYS)("hears of an invalidation by $way elsewhere", async ({ invalidate }) => {
      const { here, there } = await openTwo(setUp, { tags: () => ["all"] });
      await here.notes.set("ann", "1", { text: "old" });
      expect(await there.notes.get("ann", "1")).toEqual({ text: "old" });
      const changed = Promise.withResolvers<void>();
      there.notes.watch("ann", "1", () => changed.resolve());
      await invalidate(here.cache);
      await changed.promise;
    });

    test("hears that all keys were removed, where Redis tells of it", async () => {
      const { cache, notes } = await openNotes(setUp);
      await notes.set("ann", "1", { text: "old" });
      const changed = Promise.withResolvers<void>();
      notes.watch("ann", "1", () => changed.resolve());
      await setUp.flush();
      if (cache.health().coherence === "tracking") await changed.promise;
      else await notes.delete("ann", "1").then(() => changed.promise);
    });
  });

  describe("keys that vanish in mid-load", () => {
    test("end the wait of nobody, but nobody joins them: the next one loads the value anew, be it that Redis tells or not", async () => {
      const { notes } = await openNotes(setUp, {}, { leaseMs: 60 });
      const source = new Source();
      source.close();
      const early = notes.getOrSet("ann", "1", source.load);
      await waitFor(() => source.loads === 1, SOON);
      await setUp.flush();
      await waitFor(async () => !(await notes.explain("ann", "1")).isLoadingHere, SOON);
      expect(await notes.getOrSet("ann", "1", () => ({ text: "after" }))).toEqual({ text: "after" });
      source.open();
      expect(await early).toEqual({ text: "load 1" });
      expect(await notes.get("ann", "1")).toEqual({ text: "after" });
    });

    test("do no harm: the caller gets the value, and the next load stores it [HandlesDistributedCacheRemovalInTheMiddleOfAnOperation]", async () => {
      const { notes } = await openNotes(setUp, { tags: () => ["all"] });
      const source = new Source();
      source.close();
      const waiting = notes.getOrSet("ann", "1", source.load);
      await waitFor(() => source.loads === 1, SOON);
      await setUp.flush();
      source.open();
      expect(await waiting).toEqual({ text: "load 1" });
      expect(await notes.get("ann", "1")).toBeUndefined();
      expect(await notes.getOrSet("ann", "1", source.load)).toEqual({ text: "load 2" });
      expect(await notes.get("ann", "1")).toEqual({ text: "load 2" });
    });
  });
}

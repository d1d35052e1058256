import { describe, expect, test } from "@jest/globals";
import { CacheLoadTimeout } from "@mythic/shared/cache";
import { waitFor } from "@mythic/testing/wait";
import { openNotes, type SetUp } from "./set-up.ts";
import { loadSlowly, Source, SourceError } from "./source.ts";

/** How values are loaded. Names in brackets are those of the tests of FusionCache and of threads that the behaviour comes from. */
export function describeLoads(setUp: SetUp): void {
  const { clock } = setUp;
  const MINUTE = 60_000;

  describe("a load", () => {
    test("is shared by all who ask at the same time [cacheable#888]", async () => {
      const { cache, notes } = await openNotes(setUp);
      const source = new Source();
      source.close();
      const callers = Array.from({ length: 100 }, () => notes.getOrSet("ann", "1", source.load));
      await waitFor(() => source.loads > 0);
      source.open();
      expect(new Set((await Promise.all(callers)).map(({ text }) => text))).toEqual(new Set(["load 1"]));
      expect(source.loads).toBe(1);
      expect(cache.own().families["notes"]?.coalesced.process).toBeGreaterThanOrEqual(99);
    });

    test("stores what it brought", async () => {
      const { notes } = await openNotes(setUp);
      const source = new Source();
      expect(await notes.getOrSet("ann", "1", source.load)).toEqual({ text: "load 1" });
      expect(await notes.getOrSet("ann", "1", source.load)).toEqual({ text: "load 1" });
      expect(await notes.get("ann", "1")).toEqual({ text: "load 1" });
      clock.advance(MINUTE);
      expect(await notes.getOrSet("ann", "1", source.load)).toEqual({ text: "load 2" });
    });

    test("that fails is shared by all who ask, and by those who ask within a second", async () => {
      const { notes } = await openNotes(setUp);
      const source = new Source();
      source.fails("The source is gone.");
      source.close();
      const callers = Array.from({ length: 20 }, () => notes.getOrSet("ann", "1", source.load));
      const settled = Promise.allSettled(callers);
      await waitFor(() => source.loads > 0);
      source.open();
      for (const outcome of await settled) {
        expect(outcome).toMatchObject({
          status: "rejected",
          reason: { name: "SourceError", code: "E_SOURCE" },
        });
      }
      const late = notes.getOrSet("ann", "1", source.load);
      await expect(late).rejects.toMatchObject({
        message: "The source is gone.",
        name: "SourceError",
        code: "E_SOURCE",
      });
      expect(source.loads).toBe(1);
    });

    test("is tried again when the error of the last one is forgotten", async () => {
      const { notes } = await openNotes(setUp, {}, { failureTtlMs: 30 });
      const source = new Source();
      source.fails("The source is gone.");
      await expect(notes.getOrSet("ann", "1", source.load)).rejects.toThrow("The source is gone.");
      source.answers("back");
      const value = await waitFor(() => {
        clock.advance(10);
        return notes.getOrSet("ann", "1", source.load);
      });
      expect(value).toEqual({ text: "back" });
    });

    test("may throw anything, at once or later", async () => {
      const { notes } = await openNotes(setUp);
      const atOnce = () => {
        throw new SourceError("At once.");
      };
      await expect(notes.getOrSet("ann", "1", atOnce)).rejects.toThrow("At once.");
      await expect(notes.getOrSet("ann", "2", () => Promise.reject("a word"))).rejects.toBe("a word");
      await expect(notes.getOrSet("ann", "3", () => Promise.reject(undefined))).rejects.toBeUndefined();
    });

    test("of one value does not hold up another", async () => {
      const { notes } = await openNotes(setUp);
      const slow = new Source();
      slow.close();
      const waiting = notes.getOrSet("ann", "slow", slow.load);
      expect(await notes.getOrSet("ann", "fast", new Source().load)).toEqual({ text: "load 1" });
      slow.open();
      await waiting;
    });

    test("does not hold up those who only look", async () => {
      const { notes } = await openNotes(setUp);
      const source = new Source();
      source.close();
      const waiting = notes.getOrSet("ann", "1", source.load);
      await waitFor(() => source.loads > 0);
      expect(await notes.get("ann", "1")).toBeUndefined();
      source.open();
      await waiting;
    });

    test("goes on when a caller gives up, for the others [CallerCancellationWhileAcquiringLockIsNotAnError]", async () => {
      const { notes } = await openNotes(setUp);
      const source = new Source();
      source.close();
      const abort = new AbortController();
      const impatient = notes.getOrSet("ann", "1", source.load, { signal: abort.signal });
      const patient = notes.getOrSet("ann", "1", source.load);
      await waitFor(() => source.loads > 0);
      abort.abort(new Error("I have no time."));
      await expect(impatient).rejects.toThrow("I have no time.");
      source.open();
      expect(await patient).toEqual({ text: "load 1" });
      expect(source.loads).toBe(1);
      const aborted = notes.getOrSet("ann", "2", source.load, { signal: abort.signal });
      await expect(aborted).rejects.toThrow("I have no time.");
    });
  });

  describe("grace [bentocache#34, bentocache#110]", () => {
    test("serves the old value when the source fails [ReturnsStaleDataWhenFactoryFails]", async () => {
      const { cache, notes } = await openNotes(setUp, { graceMs: MINUTE });
      const source = new Source();
      await notes.set("ann", "1", { text: "old" });
      clock.advance(MINUTE + 1);
      source.fails("The source is gone.");
      expect(await notes.getOrSet("ann", "1", source.load)).toEqual({ text: "old" });
      expect(source.loads).toBe(1);
      expect(cache.own().families["notes"]?.stale).toBe(1);
      expect(await notes.get("ann", "1")).toBeUndefined();
    });

    test("does not try a failing source with every call [ThrottleDurationWorks]", async () => {
      const { notes } = await openNotes(setUp, { graceMs: MINUTE }, { failureTtlMs: 500 });
      const source = new Source();
      await notes.set("ann", "1", { text: "old" });
      clock.advance(MINUTE + 1);
      source.fails("The source is gone.");
      const from = performance.now();
      for (let call = 0; call < 5; call += 1) {
        expect(await notes.getOrSet("ann", "1", source.load)).toEqual({ text: "old" });
      }
      // Redis forgets by a clock of its own, which on a busy machine may go on for longer than that.
      expect(source.loads).toBeLessThanOrEqual(1 + (performance.now() - from) / 500);
      source.answers("new");
      await waitFor(async () => {
        clock.advance(10);
        return (await notes.getOrSet("ann", "1", source.load)).text === "new";
      });
    });

    test("ends [FailSafeMaxDurationIsRespected]", async () => {
      const { notes } = await openNotes(setUp, { graceMs: MINUTE });
      const source = new Source();
      await notes.set("ann", "1", { text: "old" });
      clock.advance(2 * MINUTE);
      source.fails("The source is gone.");
      await expect(notes.getOrSet("ann", "1", source.load)).rejects.toThrow("The source is gone.");
    });

    test("is not begun anew by a value that was served in it", async () => {
      const { notes } = await openNotes(setUp, { graceMs: MINUTE }, { failureTtlMs: 1 });
      const source = new Source();
      source.fails("The source is gone.");
      await notes.set("ann", "1", { text: "old" });
      clock.advance(2 * MINUTE - 1);
      expect(await notes.getOrSet("ann", "1", source.load)).toEqual({ text: "old" });
      clock.advance(1);
      await expect(notes.getOrSet("ann", "1", source.load)).rejects.toThrow("The source is gone.");
    });

    test("serves the old value when the source is slow, and the new one once it is there [ReturnsStaleDataWhenFactorySoftTimeoutWithFailSafe, FactoryTimedOutButSuccessfulDoesUpdateCachedValue]", async () => {
      const { notes } = await openNotes(setUp, { graceMs: MINUTE, softTimeoutMs: 10 });
      const source = new Source();
      await notes.set("ann", "1", { text: "old" });
      clock.advance(MINUTE + 1);
      source.close();
      expect(await notes.getOrSet("ann", "1", source.load)).toEqual({ text: "old" });
      source.open();
      await waitFor(async () => (await notes.get("ann", "1"))?.text === "load 1");
      expect(source.loads).toBe(1);
    });

    test("does not let a load that is slow begin twice [SoftTimeoutDoesNotBreakStampedeProtection, bentocache#103]", async () => {
      const { notes } = await openNotes(setUp, { graceMs: MINUTE, softTimeoutMs: 10 });
      const source = new Source();
      await notes.set("ann", "1", { text: "old" });
      clock.advance(MINUTE + 1);
      source.close();
      for (let round = 0; round < 3; round += 1) {
        const callers = Array.from({ length: 5 }, () => notes.getOrSet("ann", "1", source.load));
        for (const value of await Promise.all(callers)) expect(value).toEqual({ text: "old" });
      }
      expect(source.loads).toBe(1);
      source.open();
      await waitFor(async () => (await notes.get("ann", "1"))?.text === "load 1");
    });

    test("bears a slow load that fails in the end [HandlesBackgroundFactoryException]", async () => {
      const { notes } = await openNotes(setUp, { graceMs: MINUTE, softTimeoutMs: 10 });
      const source = new Source();
      await notes.set("ann", "1", { text: "old" });
      clock.advance(MINUTE + 1);
      source.fails("The source is gone.");
      source.close();
      expect(await notes.getOrSet("ann", "1", source.load)).toEqual({ text: "old" });
      source.open();
      expect(await notes.getOrSet("ann", "1", source.load)).toEqual({ text: "old" });
    });

    test("waits for a slow source when there is nothing to serve", async () => {
      const { notes } = await openNotes(setUp, { graceMs: MINUTE, softTimeoutMs: 5 });
      const source = new Source();
      source.close();
      const waiting = notes.getOrSet("ann", "1", source.load);
      let isSettled = false;
      void waiting.then(() => {
        isSettled = true;
      });
      const from = performance.now();
      await waitFor(() => performance.now() - from > 30);
      expect(isSettled).toBe(false);
      source.open();
      expect(await waiting).toEqual({ text: "load 1" });
    });
  });

  describe("a hard time-out", () => {
    test("ends the wait where there is nothing to serve; the value comes all the same [DoesHardTimeoutEvenWithoutStaleData]", async () => {
      const { notes } = await openNotes(setUp, { hardTimeoutMs: 20 });
      const source = new Source();
      source.close();
      await expect(notes.getOrSet("ann", "1", source.load)).rejects.toThrow(CacheLoadTimeout);
      source.open();
      await waitFor(async () => (await notes.get("ann", "1"))?.text === "load 1");
      expect(source.loads).toBe(1);
    });

    test("serves the old value where there is one", async () => {
      const { notes } = await openNotes(setUp, { graceMs: MINUTE, softTimeoutMs: 10_000, hardTimeoutMs: 20 });
      const source = new Source();
      await notes.set("ann", "1", { text: "old" });
      clock.advance(MINUTE + 1);
      source.close();
      expect(await notes.getOrSet("ann", "1", source.load)).toEqual({ text: "old" });
      source.open();
      await waitFor(async () => (await notes.get("ann", "1"))?.text === "load 1");
    });
  });

  describe("what a load says", () => {
    test("sets the TTL of its value, and of no other [AdaptiveCaching, AdaptiveCachingDoesNotChangeOptions]", async () => {
      const { notes } = await openNotes(setUp, { ttlMs: 10_000 });
      await notes.getOrSet("ann", "short", ({ setTtl }) => {
        setTtl(1_000);
        return { text: "short" };
      });
      await notes.getOrSet("ann", "usual", () => ({ text: "usual" }));
      await notes.getOrSet("ann", "given", () => ({ text: "given" }), { ttlMs: 20_000 });
      clock.advance(1_000);
      expect(await notes.get("ann", "short")).toBeUndefined();
      clock.advance(8_999);
      expect(await notes.get("ann", "usual")).toEqual({ text: "usual" });
      clock.advance(1);
      expect(await notes.get("ann", "usual")).toBeUndefined();
      expect(await notes.get("ann", "given")).toEqual({ text: "given" });
    });

    test("holds for a value that came after its callers had gone [AdaptiveCachingWithBackgroundFactoryCompletion]", async () => {
      const { notes } = await openNotes(setUp, { hardTimeoutMs: 10 });
      const gate = Promise.withResolvers<void>();
      const load = notes.getOrSet("ann", "1", async ({ setTtl }) => {
        await gate.promise;
        setTtl(1_000);
        return { text: "short" };
      });
      await expect(load).rejects.toThrow(CacheLoadTimeout);
      gate.resolve();
      await waitFor(() => notes.exists("ann", "1"));
      clock.advance(1_000);
      expect(await notes.get("ann", "1")).toBeUndefined();
    });

    test("means nothing when it fails [AdaptiveCachingCanWorkOnException]", async () => {
      const { notes } = await openNotes(setUp, { graceMs: MINUTE });
      await notes.set("ann", "1", { text: "old" });
      clock.advance(MINUTE + 1);
      const served = await notes.getOrSet("ann", "1", ({ setTtl, skip }) => {
        setTtl(1);
        skip();
        throw new SourceError("The source is gone.");
      });
      expect(served).toEqual({ text: "old" });
    });

    test("keeps its value from being stored", async () => {
      const { notes } = await openNotes(setUp);
      const value = await notes.getOrSet("ann", "1", ({ skip }) => {
        skip();
        return { text: "for you alone" };
      });
      expect(value).toEqual({ text: "for you alone" });
      expect(await notes.get("ann", "1")).toBeUndefined();
    });

    test("keeps a value that did not change [CanConditionalRefresh]", async () => {
      const { notes } = await openNotes(setUp, { graceMs: MINUTE });
      const seen: unknown[] = [];
      const load = () =>
        notes.getOrSet("ann", "1", ({ stale, setEtag, notModified }) => {
          seen.push(stale);
          if (stale !== null) return notModified();
          setEtag('"v1"');
          return { text: "first" };
        });
      expect(await load()).toEqual({ text: "first" });
      for (let round = 0; round < 2; round += 1) {
        clock.advance(MINUTE + 1);
        expect(await load()).toEqual({ text: "first" });
        expect(await notes.get("ann", "1")).toEqual({ text: "first" });
      }
      const stale = { value: { text: "first" }, etag: '"v1"' };
      expect(seen).toEqual([null, stale, stale]);
    });

    test("cannot be that a value did not change where there is none", async () => {
      const { notes } = await openNotes(setUp);
      await expect(notes.getOrSet("ann", "1", ({ notModified }) => notModified())).rejects.toThrow(TypeError);
    });

    test("that there is no value is remembered for its own time, where the family says so", async () => {
      const { notes } = await openNotes(setUp, { negativeTtlMs: 5_000 });
      let loads = 0;
      const load = () => {
        loads += 1;
        return undefined;
      };
      expect(await notes.getOrSet("ann", "1", load)).toBeUndefined();
      expect(await notes.getOrSet("ann", "1", load)).toBeUndefined();
      expect(await notes.exists("ann", "1")).toBe(false);
      expect(loads).toBe(1);
      clock.advance(5_000);
      expect(await notes.getOrSet("ann", "1", load)).toBeUndefined();
      expect(loads).toBe(2);
      await notes.set("ann", "1", { text: "now there is" });
      expect(await notes.getOrSet("ann", "1", load)).toEqual({ text: "now there is" });
    });

    test("that there is no value is not remembered elsewhere", async () => {
      const { notes } = await openNotes(setUp);
      let loads = 0;
      const load = () => {
        loads += 1;
        return undefined;
      };
      await notes.getOrSet("ann", "1", load);
      expect(await notes.getOrSet("ann", "1", load)).toBeUndefined();
      expect(loads).toBe(2);
    });
  });

  describe("an early refresh", () => {
    /** A value that took a while to load, at the very end of its time, so that a refresh is all but sure to begin. */
    async function openAtTheEnd(options: Parameters<typeof openNotes>[1] = {}) {
      const { cache, notes } = await openNotes(setUp, { earlyRefresh: true, ...options });
      const source = new Source();
      await loadSlowly(notes, source);
      clock.advance(MINUTE - 0.01);
      source.close();
      await waitFor(async () => {
        // Everybody gets the old value, and none of them waits.
        expect(await notes.getOrSet("ann", "1", source.load)).toEqual({ text: "load 1" });
        return source.loads === 2;
      });
      return { cache, notes, source };
    }

    test("replaces a value in demand while everybody gets the old one [CanEagerRefresh, CanEagerRefreshNoBlock]", async () => {
      const { notes, source } = await openAtTheEnd();
      source.open();
      await waitFor(async () => (await notes.get("ann", "1"))?.text === "load 2");
    });

    test("works for values with tags [CanEagerRefreshWithTags]", async () => {
      const { cache, notes, source } = await openAtTheEnd({ tags: () => ["all"] });
      source.open();
      await waitFor(async () => (await notes.get("ann", "1"))?.text === "load 2");
      await cache.deleteByTag({ user: "ann" }, "all");
      expect(await notes.get("ann", "1")).toBeUndefined();
    });

    test("is not begun twice [EagerRefreshDoesNotBreakStampedeProtection]", async () => {
      const { notes, source } = await openAtTheEnd();
      await Promise.all(Array.from({ length: 20 }, () => notes.getOrSet("ann", "1", source.load)));
      expect(source.loads).toBe(2);
      source.open();
    });

    test("is waited for once the old value's time is up [NormalFactoryExecutionWaitsForInFlightEagerRefresh]", async () => {
      const { notes, source } = await openAtTheEnd();
      clock.advance(1);
      const callers = [notes.getOrSet("ann", "1", source.load), notes.getOrSet("ann", "1", source.load)];
      await Promise.resolve();
      source.open();
      expect(await Promise.all(callers)).toEqual([{ text: "load 2" }, { text: "load 2" }]);
      expect(source.loads).toBe(2);
    });

    test("does not end with the caller who began it [CanEagerRefreshNoCancellation]", async () => {
      const { notes, source } = await openAtTheEnd();
      expect(source.contexts[1]?.signal.aborted).toBe(false);
      expect(source.contexts[1]?.stale).toMatchObject({ value: { text: "load 1" } });
      source.open();
      await waitFor(async () => (await notes.get("ann", "1"))?.text === "load 2");
    });

    test("that fails leaves the old value where it is", async () => {
      const { notes, source } = await openAtTheEnd();
      source.fails("The source is gone.");
      source.open();
      expect(await notes.get("ann", "1")).toEqual({ text: "load 1" });
    });
  });

  describe("a refresh along with another load", () => {
    const ALONG_MS = 10_000;

    /** The time of the note `1` is up, and `2` has so much left. Each has a source of its own. */
    async function openOld(leftMs: number) {
      const { notes } = await openNotes(setUp, { refreshAlongMs: ALONG_MS });
      const [first, second] = [new Source(), new Source()];
      await notes.getOrSet("ann", "1", first.load);
      clock.advance(leftMs);
      await notes.getOrSet("ann", "2", second.load);
      clock.advance(MINUTE - leftMs);
      first.close();
      second.close();
      return { notes, first, second };
    }

    test("begins for a value near its end while another is waited for, and everybody gets the old one", async () => {
      const { notes, first, second } = await openOld(ALONG_MS / 4 - 1);
      const waiting = notes.getOrSet("ann", "1", first.load);
      await waitFor(async () => {
        expect(await notes.getOrSet("ann", "2", second.load)).toEqual({ text: "load 1" });
        return second.loads === 2;
      });
      first.open();
      second.open();
      expect(await waiting).toEqual({ text: "load 2" });
      await waitFor(async () => (await notes.get("ann", "2"))?.text === "load 2");
      expect(second.loads).toBe(2);
    });

    test("does not begin for a value that has longer to go", async () => {
      const { notes, first, second } = await openOld(ALONG_MS / 4 + 1);
      const waiting = notes.getOrSet("ann", "1", first.load);
      await waitFor(() => first.loads === 2);
      expect(await notes.getOrSet("ann", "2", second.load)).toEqual({ text: "load 1" });
      first.open();
      await waiting;
      expect(second.loads).toBe(1);
    });

    test("does not begin while no other value is waited for, nor because of another refresh", async () => {
      const { notes, first, second } = await openOld(ALONG_MS / 4 - 1);
      const waiting = notes.getOrSet("ann", "1", first.load);
      await waitFor(async () => {
        await notes.getOrSet("ann", "2", second.load);
        return second.loads === 2;
      });
      first.open();
      await waiting;
      // The second is still being loaded, and the first is near its end again.
      clock.advance(MINUTE - 1);
      expect(await notes.getOrSet("ann", "1", first.load)).toEqual({ text: "load 2" });
      // A load that begins later is over only after one that had begun by then.
      await notes.getOrSet("ann", "3", new Source().load);
      expect(first.loads).toBe(2);
      second.open();
    });

    test("takes a quarter of the time along for each load that is waited for, and all of it for four", async () => {
      const { notes } = await openNotes(setUp, { refreshAlongMs: ALONG_MS });
      const [source, late] = [new Source(), new Source()];
      const ids = ["1", "2", "3", "4"];
      for (const id of ids) await notes.getOrSet("ann", id, source.load);
      clock.advance(ALONG_MS - 1);
      await notes.getOrSet("ann", "late", late.load);
      clock.advance(MINUTE - ALONG_MS + 1);
      source.close();
      const waiting: Promise<unknown>[] = [];
      for (const id of ids) {
        // A load that begins later is over only after one that had begun by then.
        await notes.getOrSet("ann", `after ${waiting.length}`, new Source().load);
        expect(late.loads).toBe(1);
        waiting.push(notes.getOrSet("ann", id, source.load));
        await waitFor(() => source.loads === ids.length + waiting.length);
        expect(await notes.getOrSet("ann", "late", late.load)).toEqual({ text: "load 1" });
      }
      await waitFor(() => late.loads === 2);
      source.open();
      await Promise.all(waiting);
    });
  });
}

import { describe, expect, test } from "@jest/globals";
import { WAYS } from "./invalidations.suite.ts";
import { openNotes, type SetUp } from "./set-up.ts";

/** What is told to those who watch a value. */
export function describeWatching(setUp: SetUp): void {
  describe("who watches a value", () => {
    test("hears of each write, when the new value is there", async () => {
      const { notes } = await openNotes(setUp);
      const seen: unknown[] = [];
      const stop = notes.watch("ann", "1", () => seen.push(notes.get("ann", "1")));
      await notes.set("ann", "1", { text: "one" });
      expect(await seen.at(-1)).toEqual({ text: "one" });
      await notes.set("ann", "1", { text: "two" });
      expect(await seen.at(-1)).toEqual({ text: "two" });
      stop();
    });

    test("hears of a value that was loaded", async () => {
      const { notes } = await openNotes(setUp);
      let changes = 0;
      notes.watch("ann", "1", () => {
        changes += 1;
      });
      await notes.getOrSet("ann", "1", () => ({ text: "loaded" }));
      expect(changes).toBeGreaterThan(0);
    });

    test.each(WAYS)("hears of an invalidation by $way", async ({ invalidate }) => {
      const { cache, notes } = await openNotes(setUp, { tags: () => ["all"] });
      await notes.set("ann", "1", { text: "old" });
      const seen: unknown[] = [];
      notes.watch("ann", "1", () => seen.push(notes.get("ann", "1")));
      await invalidate(cache);
      expect(seen.length).toBeGreaterThan(0);
      expect(await seen.at(-1)).toBeUndefined();
    });

    test("hears that it was expired", async () => {
      const { notes } = await openNotes(setUp, { graceMs: 60_000 });
      await notes.set("ann", "1", { text: "old" });
      let changes = 0;
      notes.watch("ann", "1", () => {
        changes += 1;
      });
      await notes.expire("ann", "1");
      expect(changes).toBeGreaterThan(0);
    });

    test("hears nothing of other values", async () => {
      const { cache, notes } = await openNotes(setUp, { tags: (_user, id) => [id] });
      await notes.get("ann", "1");
      let changes = 0;
      notes.watch("ann", "1", () => {
        changes += 1;
      });
      await notes.set("ann", "2", { text: "another" });
      await notes.set("bob", "1", { text: "another's" });
      await notes.delete("ann", "2");
      await cache.deleteByTag({ user: "ann" }, "2");
      await cache.deleteByTag({ user: "bob" }, "1");
      await cache.deleteByPattern("notes:2");
      expect(changes).toBe(0);
    });

    test("hears nothing any more after saying so, not even of what has just happened", async () => {
      const { notes } = await openNotes(setUp);
      let stopped = 0;
      let going = 0;
      const stop = notes.watch("ann", "1", () => {
        stopped += 1;
      });
      notes.watch("ann", "1", () => {
        going += 1;
      });
      const deleted = notes.delete("ann", "1");
      stop();
      await deleted;
      await notes.set("ann", "1", { text: "new" });
      expect(stopped).toBe(0);
      expect(going).toBeGreaterThan(0);
      stop();
    });
  });
}

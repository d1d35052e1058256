import { describe, expect, test } from "@jest/globals";
import { defineFamily } from "@mythic/shared/cache";
import { waitFor } from "@mythic/testing/wait";
import { anySchema, type NoteCache, noteFamily } from "./note.ts";
import { openNotes, type SetUp } from "./set-up.ts";
import { Source } from "./source.ts";

/** The ways to invalidate the note `1` of Ann, which bears the tag `all`. */
export const WAYS: readonly { readonly way: string; invalidate(cache: NoteCache): Promise<unknown> }[] = [
  { way: "its key", invalidate: (cache) => cache.families.notes.delete("ann", "1") },
  { way: "its tag", invalidate: (cache) => cache.deleteByTag({ user: "ann" }, "all") },
  { way: "a pattern", invalidate: (cache) => cache.deleteByPattern("notes:1*") },
  { way: "clear", invalidate: (cache) => cache.clear() },
  { way: "clearing its family", invalidate: (cache) => cache.clear("notes") },
];

/** What is invalidated, by whom, and what must not be. */
export function describeInvalidations(setUp: SetUp): void {
  const { clock } = setUp;
  const MINUTE = 60_000;

  describe.each(WAYS)("invalidation by $way", ({ invalidate }) => {
    const options = { tags: () => ["all"], graceMs: MINUTE };

    test("removes a value", async () => {
      const { cache, notes } = await openNotes(setUp, options);
      await notes.set("ann", "1", { text: "old" });
      await invalidate(cache);
      expect(notes.peek("ann", "1")).toBeUndefined();
      expect(await notes.get("ann", "1")).toBeUndefined();
      expect(await notes.exists("ann", "1")).toBe(false);
      expect(await notes.getOrSet("ann", "1", () => ({ text: "new" }))).toEqual({ text: "new" });
      expect(await notes.get("ann", "1")).toEqual({ text: "new" });
    });

    test("leaves nothing to be served in grace [bentocache#71, CanRemoveByTagBehaviorRemove]", async () => {
      const { cache, notes } = await openNotes(setUp, options);
      const source = new Source();
      source.fails("The source is gone.");
      await notes.set("ann", "1", { text: "old" });
      await invalidate(cache);
      await expect(notes.getOrSet("ann", "1", source.load)).rejects.toThrow("The source is gone.");
    });

    test("in mid-load keeps the value from being stored; who waits for it gets it [layered-loader#414, #417, #432]", async () => {
      const { cache, notes } = await openNotes(setUp, options);
      const source = new Source();
      source.close();
      const waiting = notes.getOrSet("ann", "1", source.load);
      await waitFor(() => source.loads === 1);
      await invalidate(cache);
      source.open();
      expect(await waiting).toEqual({ text: "load 1" });
      expect(await notes.get("ann", "1")).toBeUndefined();
      expect(await notes.getOrSet("ann", "1", source.load)).toEqual({ text: "load 2" });
      expect(await notes.get("ann", "1")).toEqual({ text: "load 2" });
    });

    test("in mid-load: who asks afterwards does not get what was read before", async () => {
      const { cache, notes } = await openNotes(setUp, options);
      const before = new Source();
      before.answers("before");
      before.close();
      const early = notes.getOrSet("ann", "1", before.load);
      await waitFor(() => before.loads === 1);
      await invalidate(cache);
      expect(await notes.getOrSet("ann", "1", () => ({ text: "after" }))).toEqual({ text: "after" });
      before.open();
      expect(await early).toEqual({ text: "before" });
      expect(await notes.get("ann", "1")).toEqual({ text: "after" });
    });

    test("frees those who ask from the error of the last load", async () => {
      const { cache, notes } = await openNotes(setUp, { tags: () => ["all"] }, { failureTtlMs: 60_000 });
      const source = new Source();
      source.fails("The source is gone.");
      await expect(notes.getOrSet("ann", "1", source.load)).rejects.toThrow("The source is gone.");
      await invalidate(cache);
      source.answers("back");
      expect(await notes.getOrSet("ann", "1", source.load)).toEqual({ text: "back" });
    });
  });

  describe("tags", () => {
    test("say nothing of another user's values, be they called the same", async () => {
      const { cache, notes } = await openNotes(setUp, { tags: () => ["all"] });
      await notes.set("ann", "1", { text: "ann's" });
      await notes.set("bob", "1", { text: "bob's" });
      await cache.deleteByTag({ user: "ann" }, "all");
      expect(await notes.get("ann", "1")).toBeUndefined();
      expect(await notes.get("bob", "1")).toEqual({ text: "bob's" });
      await cache.deleteByTag("shared", "all");
      expect(await notes.get("bob", "1")).toEqual({ text: "bob's" });
    });

    test("of a value are all heeded, and no others [CanRemoveByTag, CanRemoveByTagMulti]", async () => {
      const { cache, notes } = await openNotes(setUp, { tags: (_user, id) => id.split("-") });
      const ids = ["x-y", "y-z", "x", "z", "w"];
      const fill = () =>
        notes.setMany(
          "ann",
          ids.map((id) => [id, { text: id }] as const),
        );
      const left = async () =>
        (
          await notes.getMany(
            "ann",
            ids.map((id) => [id] as const),
          )
        ).map((note) => note?.text);
      await fill();
      expect(await cache.deleteByTag({ user: "ann" }, "y")).toBe(1);
      expect(await left()).toEqual([undefined, undefined, "x", "z", "w"]);
      await fill();
      await cache.deleteByTag({ user: "ann" }, ["x", "z", "nobody"]);
      expect(await left()).toEqual([undefined, undefined, undefined, undefined, "w"]);
    });

    test("of shared values are shared", async () => {
      const titles = defineFamily({
        name: "titles",
        scope: "shared",
        version: 1,
        ttlMs: MINUTE,
        schema: anySchema<string>(),
        key: (id: number) => id,
        tags: (id) => [`title:${id % 2}`],
      });
      const cache = await setUp.open({ titles });
      await cache.families.titles.setMany([
        [1, "one"],
        [2, "two"],
        [3, "three"],
      ]);
      await cache.deleteByTag("shared", "title:1");
      expect(await cache.families.titles.getMany([[1], [2], [3]])).toEqual([undefined, "two", undefined]);
    });

    test("outlive their values, and work again for values stored after", async () => {
      const { cache, notes } = await openNotes(setUp, { tags: () => ["all"] });
      for (let round = 0; round < 3; round += 1) {
        await notes.set("ann", "1", { text: `round ${round}` });
        expect(await notes.get("ann", "1")).toEqual({ text: `round ${round}` });
        await cache.deleteByTag({ user: "ann" }, "all");
        expect(await notes.get("ann", "1")).toBeUndefined();
      }
    });
  });

  describe("tags that change", () => {
    test("are those that a value was stored with last [CanRemoveByTagChangingTags]", async () => {
      let tag = "a";
      const { cache, notes } = await openNotes(setUp, { tags: () => [tag] });
      await notes.set("ann", "1", { text: "old" });
      tag = "b";
      await notes.set("ann", "1", { text: "new" });
      await cache.deleteByTag({ user: "ann" }, "a");
      expect(await notes.get("ann", "1")).toEqual({ text: "new" });
      await cache.deleteByTag({ user: "ann" }, "b");
      expect(await notes.get("ann", "1")).toBeUndefined();
    });

    test("may be none at all", async () => {
      const { cache, notes } = await openNotes(setUp, { tags: () => [] });
      await notes.set("ann", "1", { text: "untagged" });
      expect(await cache.deleteByTag({ user: "ann" }, "all")).toBe(0);
      const { pendingRemovals } = cache.health();
      expect(await cache.deleteByTag({ user: "ann" }, [])).toBe(0);
      expect(cache.health().pendingRemovals).toBe(pendingRemovals);
      expect(await notes.get("ann", "1")).toEqual({ text: "untagged" });
    });

    test("are 255 at most", async () => {
      const { cache, notes } = await openNotes(setUp, {
        tags: (_user, id) => Array.from({ length: Number(id) }, (_, tag) => `tag ${tag}`),
      });
      await notes.set("ann", "255", { text: "many" });
      expect(await notes.get("ann", "255")).toEqual({ text: "many" });
      await cache.deleteByTag({ user: "ann" }, "tag 254");
      expect(await notes.get("ann", "255")).toBeUndefined();
      await expect(notes.get("ann", "256")).rejects.toThrow(RangeError);
    });
  });

  describe("delete", () => {
    test("says whether there was anything", async () => {
      const { notes } = await openNotes(setUp);
      await notes.set("ann", "1", { text: "hello" });
      expect(await notes.invalidate("ann", "2")).toBe(false);
      if (setUp.hasLocal) await notes.get("ann", "1");
      expect(await notes.invalidate("ann", "1")).toBe(true);
      expect(await notes.delete("ann", "1")).toBe(false);
    });
  });

  describe("patterns", () => {
    test("match the family and the key, and nothing else", async () => {
      const { cache, notes } = await openNotes(setUp);
      const ids = ["1", "12", "2", "a:b", "a*b", "ünï", "x".repeat(300)];
      await notes.setMany(
        "ann",
        ids.map((id) => [id, { text: id }] as const),
      );
      await notes.set("bob", "1", { text: "1" });
      const left = async () => {
        const many = await notes.getMany(
          "ann",
          ids.map((id) => [id] as const),
        );
        return ids.filter((_, index) => many[index] !== undefined);
      };
      expect(await cache.deleteByPattern("note:1*")).toBe(0);
      expect(await cache.deleteByPattern("*u.ann*")).toBe(0);
      expect(await left()).toEqual(ids);
      expect(await cache.deleteByPattern("notes:?")).toBe(3);
      expect(await left()).toEqual(["12", "a:b", "a*b", "ünï", "x".repeat(300)]);
      expect(await cache.deleteByPattern("n[a-o]tes:a*")).toBe(2);
      expect(await left()).toEqual(["12", "ünï", "x".repeat(300)]);
      expect(await cache.deleteByPattern("notes:*")).toBe(3);
      expect(await left()).toEqual([]);
    });
  });

  describe("clear", () => {
    test("of one family leaves the others, and answers how many values there were", async () => {
      const other = noteFamily({ name: "other" });
      const cache = await setUp.open({ notes: noteFamily(), other });
      const { families } = cache;
      await families.notes.set("ann", "1", { text: "a note" });
      await families.notes.set("bob", "2", { text: "a note" });
      await families.other.set("ann", "1", { text: "another" });
      expect(await cache.clear("notes")).toBe(2);
      expect(await families.notes.get("bob", "2")).toBeUndefined();
      expect(await families.other.get("ann", "1")).toEqual({ text: "another" });
      expect(await cache.clear()).toBe(1);
      expect(await cache.clear()).toBe(0);
    });

    test("of one user in a family leaves other users and other families, and whoever is called much alike", async () => {
      const other = noteFamily({ name: "other" });
      const cache = await setUp.open({ notes: noteFamily(), other });
      const { notes } = cache.families;
      const users = ["ann", "anna", "joann", "*", "x/ann"];
      for (const user of users) await notes.set(user, "1", { text: user });
      await cache.families.other.set("ann", "1", { text: "another" });
      expect(await cache.clear("notes", { user: "ann" })).toBe(1);
      expect(await cache.clear("notes", { user: "*" })).toBe(1);
      const left = users.filter((user) => user !== "ann" && user !== "*");
      for (const user of left) expect(await notes.get(user, "1")).toEqual({ text: user });
      expect(await notes.get("ann", "1")).toBeUndefined();
      expect(await cache.families.other.get("ann", "1")).toEqual({ text: "another" });
    });
  });

  describe("expire", () => {
    test("ends the freshness of a value and leaves its grace", async () => {
      const { notes } = await openNotes(setUp, { graceMs: MINUTE });
      const source = new Source();
      source.fails("The source is gone.");
      await notes.set("ann", "1", { text: "old" });
      expect(await notes.expire("ann", "1")).toBe(true);
      expect(await notes.get("ann", "1")).toBeUndefined();
      expect(await notes.getOrSet("ann", "1", source.load)).toEqual({ text: "old" });
      expect(source.loads).toBe(1);
      clock.advance(2 * MINUTE);
      expect(await notes.expire("ann", "1")).toBe(false);
    });

    test("removes a value that has no grace", async () => {
      const { notes } = await openNotes(setUp);
      await notes.set("ann", "1", { text: "old" });
      expect(await notes.expire("ann", "1")).toBe(true);
      expect(await notes.get("ann", "1")).toBeUndefined();
      expect(await notes.expire("ann", "1")).toBe(false);
    });

    test("in mid-load keeps the value from being stored [CanHandleExpireMidFlight]", async () => {
      const { notes } = await openNotes(setUp, { graceMs: MINUTE });
      await notes.set("ann", "1", { text: "old" });
      clock.advance(MINUTE + 1);
      const source = new Source();
      source.close();
      const waiting = notes.getOrSet("ann", "1", source.load);
      await waitFor(() => source.loads === 1);
      await notes.expire("ann", "1");
      source.open();
      expect(await waiting).toEqual({ text: "load 1" });
      expect(await notes.get("ann", "1")).toBeUndefined();
    });
  });

  describe("a value stored while another is being loaded", () => {
    test("stays", async () => {
      const { notes } = await openNotes(setUp);
      const source = new Source();
      source.answers("from the source, read before");
      source.close();
      const waiting = notes.getOrSet("ann", "1", source.load);
      await waitFor(() => source.loads === 1);
      await notes.set("ann", "1", { text: "written through" });
      source.open();
      expect(await waiting).toEqual({ text: "from the source, read before" });
      expect(await notes.get("ann", "1")).toEqual({ text: "written through" });
    });

    test.each([
      { loaded: 4, stays: 5 },
      { loaded: 6, stays: 6 },
    ])("of revision 5 against $loaded: $stays stays", async ({ loaded, stays }) => {
      const { notes } = await openNotes(setUp, { revision: (note) => note.revision ?? 0 });
      const gate = Promise.withResolvers<void>();
      const begun = Promise.withResolvers<void>();
      const waiting = notes.getOrSet("ann", "1", async () => {
        begun.resolve();
        await gate.promise;
        return { text: "loaded", revision: loaded };
      });
      await begun.promise;
      await notes.set("ann", "1", { text: "written through", revision: 5 });
      gate.resolve();
      await waiting;
      expect((await notes.get("ann", "1"))?.revision).toBe(stays);
    });
  });

  describe("what is told of a value", () => {
    test("is everything but the value", async () => {
      const { cache, notes } = await openNotes(setUp, { graceMs: MINUTE, tags: () => ["all"] });
      const nothing = await notes.explain("ann", "1");
      expect(nothing).toMatchObject({
        family: "notes",
        scope: "u.ann",
        local: null,
        leaseMs: null,
        isLoadingHere: false,
      });
      await notes.getOrSet("ann", "1", ({ setEtag }) => {
        setEtag("v1");
        return { text: "a secret" };
      });
      await notes.get("ann", "1");
      const told = await notes.explain("ann", "1");
      const stored = told.redis === "not asked" ? told.local : told.redis;
      expect(stored).toMatchObject({ rawBytes: 19, revision: null, etag: "v1", tags: 1, isNegative: false });
      expect(JSON.stringify(told)).not.toContain("secret");
      expect(await cache.explain(told.key)).toMatchObject({ key: told.key, family: "notes" });
      expect(await cache.explain("another:key")).toBeNull();
    });
  });
}

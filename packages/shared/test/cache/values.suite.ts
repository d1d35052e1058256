import { describe, expect, test } from "@jest/globals";
import { defineFamily } from "@mythic/shared/cache";
import { anySchema, noteFamily } from "./note.ts";
import { openNotes, type SetUp } from "./set-up.ts";

/** What is stored, for how long, and for whom. */
export function describeValues(setUp: SetUp): void {
  const { clock } = setUp;

  describe("values", () => {
    test("what was stored is there, and what was not is not", async () => {
      const { notes } = await openNotes(setUp);
      expect(await notes.get("ann", "1")).toBeUndefined();
      expect(await notes.exists("ann", "1")).toBe(false);
      expect(await notes.set("ann", "1", { text: "hello" })).toBe(true);
      expect(await notes.get("ann", "1")).toEqual({ text: "hello" });
      expect(await notes.exists("ann", "1")).toBe(true);
    });

    test("a value stored again replaces the one before", async () => {
      const { notes } = await openNotes(setUp);
      await notes.set("ann", "1", { text: "old" });
      expect(await notes.get("ann", "1")).toEqual({ text: "old" });
      await notes.set("ann", "1", { text: "new" });
      expect(await notes.get("ann", "1")).toEqual({ text: "new" });
    });

    test("null, false, zero and the empty text are values", async () => {
      const things = defineFamily({
        name: "things",
        scope: "shared",
        version: 1,
        ttlMs: 60_000,
        schema: anySchema<null | boolean | number | string>(),
        key: (id: number) => id,
      });
      const { families } = await setUp.open({ things });
      for (const [id, value] of [null, false, 0, ""].entries()) {
        await families.things.set(id, value);
        expect(await families.things.get(id)).toBe(value);
        expect(await families.things.exists(id)).toBe(true);
        expect(await families.things.getOrSet(id, () => "loaded")).toBe(value);
      }
    });

    test("long and strange texts come back as they were", async () => {
      const { notes } = await openNotes(setUp);
      const texts = [
        "x".repeat(100_000),
        "Tür – 图书馆 – 📚",
        "\ud800 alone",
        "\0\n\u2028",
        "word ".repeat(2_000),
      ];
      await notes.setMany(
        "ann",
        texts.map((text, index) => [String(index), { text }] as const),
      );
      for (const [index, text] of texts.entries()) {
        expect((await notes.get("ann", String(index)))?.text).toBe(text);
      }
    });

    test("a value of one user is not there for another", async () => {
      const { notes } = await openNotes(setUp);
      await notes.set("ann", "1", { text: "mine" });
      expect(await notes.get("bob", "1")).toBeUndefined();
      await notes.delete("bob", "1");
      expect(await notes.get("ann", "1")).toEqual({ text: "mine" });
    });

    test("many are stored and got in the order asked for, with gaps where there are none", async () => {
      const { notes } = await openNotes(setUp);
      await notes.setMany("ann", [
        ["1", { text: "one" }],
        ["3", { text: "three" }],
      ]);
      await notes.get("ann", "3");
      expect(await notes.getMany("ann", [["3"], ["2"], ["1"], ["3"]])).toEqual([
        { text: "three" },
        undefined,
        { text: "one" },
        { text: "three" },
      ]);
      expect(await notes.getMany("ann", [])).toEqual([]);
    });

    test("many shared values come from all slots at once", async () => {
      const titles = defineFamily({
        name: "titles",
        scope: "shared",
        version: 1,
        ttlMs: 60_000,
        schema: anySchema<string>(),
        key: (id: number) => id,
      });
      const { families } = await setUp.open({ titles });
      const ids = Array.from({ length: 50 }, (_, id) => [id] as const);
      await families.titles.setMany(ids.map(([id]) => [id, `title ${id}`] as const));
      expect(await families.titles.getMany(ids)).toEqual(ids.map(([id]) => `title ${id}`));
    });

    test("a value is gone at the end of its TTL, and not before", async () => {
      const { notes } = await openNotes(setUp, { ttlMs: 10_000 });
      await notes.set("ann", "1", { text: "hello" });
      clock.advance(9_900);
      expect(await notes.get("ann", "1")).toEqual({ text: "hello" });
      clock.advance(100);
      expect(await notes.get("ann", "1")).toBeUndefined();
      expect(notes.peek("ann", "1")).toBeUndefined();
      expect(await notes.getMany("ann", [["1"]])).toEqual([undefined]);
    });

    test("memory and Redis agree on when a value ends [MemoryExpirationAlignedWithDistributed]", async () => {
      const { notes } = await openNotes(setUp, { ttlMs: 10_000 });
      await notes.set("ann", "1", { text: "hello" });
      clock.advance(6_000);
      // Read into memory with most of its time gone.
      expect(await notes.get("ann", "1")).toEqual({ text: "hello" });
      clock.advance(4_000);
      expect(await notes.get("ann", "1")).toBeUndefined();
    });

    test("a TTL given with a value is kept exactly", async () => {
      const { notes } = await openNotes(setUp, { ttlMs: 10_000, jitter: 0.5 });
      await notes.set("ann", "1", { text: "short" }, { ttlMs: 1_000 });
      await notes.set("ann", "2", { text: "long" }, { ttlMs: 100_000 });
      clock.advance(999);
      expect(await notes.get("ann", "1")).toEqual({ text: "short" });
      clock.advance(1);
      expect(await notes.get("ann", "1")).toBeUndefined();
      clock.advance(98_999);
      expect(await notes.get("ann", "2")).toEqual({ text: "long" });
    });

    test("without grace nothing is served past its time, not even when the source fails [nitro#1948, nitro#1950]", async () => {
      const { notes } = await openNotes(setUp, { ttlMs: 1_000, hard: true });
      await notes.set("ann", "1", { text: "old" });
      clock.advance(1_000);
      const failing = notes.getOrSet("ann", "1", () => Promise.reject(new Error("The source is gone.")));
      await expect(failing).rejects.toThrow("The source is gone.");
    });

    test("a value is a copy: who stored it cannot change it afterwards", async () => {
      const { notes } = await openNotes(setUp);
      const mine = { text: "before" };
      await notes.set("ann", "1", mine);
      mine.text = "after";
      expect(await notes.get("ann", "1")).toEqual({ text: "before" });
    });

    test("what one caller does to a value is not seen by the next", async () => {
      const { notes } = await openNotes(setUp);
      const loaded = await notes.getOrSet("ann", "1", () => ({ text: "hello" }));
      for (const value of [loaded, await notes.get("ann", "1"), await notes.get("ann", "1")]) {
        try {
          Object.assign(value ?? {}, { text: "changed" });
        } catch {
          // What is shared is frozen.
        }
      }
      expect(await notes.get("ann", "1")).toEqual({ text: "hello" });
    });

    test("a value that does not fit the schema is not stored, and what was there is gone", async () => {
      const { notes } = await openNotes(setUp);
      await notes.set("ann", "1", { text: "old" });
      expect(await notes.set("ann", "1", { text: 5 } as never)).toBe(false);
      expect(await notes.get("ann", "1")).toBeUndefined();
    });

    test("what JSON cannot express is not stored", async () => {
      const things = defineFamily({
        name: "things",
        scope: "user",
        version: 1,
        ttlMs: 60_000,
        schema: anySchema<unknown>(),
      });
      const { families } = await setUp.open({ things });
      const round: unknown[] = [];
      round.push(round);
      for (const value of [round, 1n, undefined, () => 1]) {
        expect(await families.things.set("ann", value)).toBe(false);
        expect(await families.things.getOrSet("ann", () => value)).toBe(value);
        expect(await families.things.get("ann")).toBeUndefined();
      }
    });

    test("a value above its family's cap is given to its caller and not stored, and what was there is gone", async () => {
      const { notes } = await openNotes(setUp, { maxBytes: 100 });
      await notes.set("ann", "1", { text: "short" });
      const long = { text: Array.from({ length: 100 }, () => Math.random().toString(36)).join() };
      expect(await notes.set("ann", "1", long)).toBe(false);
      expect(await notes.get("ann", "1")).toBeUndefined();
      expect(await notes.getOrSet("ann", "1", () => long)).toEqual(long);
      expect(await notes.get("ann", "1")).toBeUndefined();
    });

    test("of two revisions the higher one stays, in whatever order they come", async () => {
      const { notes } = await openNotes(setUp, { revision: (note) => note.revision ?? 0 });
      expect(await notes.set("ann", "1", { text: "five", revision: 5 })).toBe(true);
      expect(await notes.set("ann", "1", { text: "four", revision: 4 })).toBe(false);
      expect(await notes.get("ann", "1")).toEqual({ text: "five", revision: 5 });
      expect(await notes.set("ann", "1", { text: "five again", revision: 5 })).toBe(false);
      expect(await notes.set("ann", "1", { text: "six", revision: 6 })).toBe(true);
      expect(await notes.get("ann", "1")).toEqual({ text: "six", revision: 6 });
      await notes.delete("ann", "1");
      expect(await notes.set("ann", "1", { text: "one", revision: 1 })).toBe(true);
    });

    test("a namespace has values of its own; its clear stays inside, its parent's reaches into it [bentocache#32]", async () => {
      const { cache, notes } = await openNotes(setUp);
      const inner = cache.namespace("inner").families.notes;
      const deeper = cache.namespace("inner").namespace("deeper").families.notes;
      await notes.set("ann", "1", { text: "outer" });
      await inner.set("ann", "1", { text: "inner" });
      await deeper.set("ann", "1", { text: "deeper" });
      expect(await inner.get("ann", "1")).toEqual({ text: "inner" });
      await cache.namespace("other").clear();
      await cache.namespace("inner").namespace("deeper").clear();
      expect(await deeper.get("ann", "1")).toBeUndefined();
      expect(await inner.get("ann", "1")).toEqual({ text: "inner" });
      await cache.clear();
      expect(await inner.get("ann", "1")).toBeUndefined();
      expect(await notes.get("ann", "1")).toBeUndefined();
    });

    test("a call that does not say whose value is meant, or which, is refused", async () => {
      const { notes } = await openNotes(setUp);
      // @ts-expect-error the user is missing
      await expect(notes.get("1")).rejects.toThrow(TypeError);
      // @ts-expect-error the id is missing
      expect(() => notes.peek("ann")).toThrow(TypeError);
      // @ts-expect-error a user's id is a text
      await expect(notes.delete(undefined, "1")).rejects.toThrow(TypeError);
      await expect(notes.get("", "1")).rejects.toThrow(TypeError);
      // @ts-expect-error the user is missing, so the value is taken for the id
      await expect(notes.set("1", { text: "hello" })).rejects.toThrow(TypeError);
      // @ts-expect-error the user is missing, so the load is taken for the id
      await expect(notes.getOrSet("1", () => ({ text: "hello" }))).rejects.toThrow(TypeError);
    });

    test("two families of the same name are refused", async () => {
      await expect(setUp.open({ one: noteFamily(), two: noteFamily({ version: 2 }) })).rejects.toThrow(
        TypeError,
      );
    });
  });

  describe("a function that was made cached", () => {
    test("runs once for the same arguments, whatever the order of their properties", async () => {
      const { cache } = await openNotes(setUp);
      let runs = 0;
      const sum = cache.wrap(
        { prefix: "sum", ttlMs: 1_000 },
        async (of: { a: number; b?: number }, more: number) => {
          runs += 1;
          return of.a + (of.b ?? 0) + more;
        },
      );
      expect(await sum({ a: 1, b: 2 }, 3)).toBe(6);
      expect(await sum({ b: 2, a: 1 }, 3)).toBe(6);
      expect(runs).toBe(1);
      expect(await sum({ a: 1, b: 3 }, 2)).toBe(6);
      expect(await sum({ a: 1 }, 2)).toBe(3);
      expect(runs).toBe(3);
      clock.advance(1_000);
      expect(await sum({ a: 1, b: 2 }, 3)).toBe(6);
      expect(runs).toBe(4);
    });

    test("in a family shares its values with the family's other methods", async () => {
      const family = noteFamily();
      const cache = await setUp.open({ notes: family });
      const { notes } = cache.families;
      const read = cache.wrap(family, async (user: string, id: string) => ({ text: `${user} ${id}` }));
      expect(await read("ann", "1")).toEqual({ text: "ann 1" });
      expect(await notes.get("ann", "1")).toEqual({ text: "ann 1" });
      await notes.set("ann", "1", { text: "written" });
      expect(await read("ann", "1")).toEqual({ text: "written" });
      expect(await read("bob", "1")).toEqual({ text: "bob 1" });
    });

    test("is refused a name that is taken", async () => {
      const { cache } = await openNotes(setUp);
      cache.wrap({ prefix: "sum", ttlMs: 1_000 }, async () => 1);
      expect(() => cache.wrap({ prefix: "sum", ttlMs: 1_000 }, async () => 2)).toThrow(TypeError);
      expect(() => cache.wrap({ prefix: "notes", ttlMs: 1_000 }, async () => 2)).toThrow(TypeError);
    });
  });
}

import { randomBytes } from "node:crypto";
import { describe, expect, test } from "@jest/globals";
import { type OpenFresh, storeForAll } from "./bench.ts";
import {
  chapter,
  collect,
  FAILURE,
  newBook,
  ODD_IDS,
  PARSED,
  pieces,
  readyBook,
  sha256,
  storedBook,
  unique,
} from "./samples.ts";

export function describeBooks(openFresh: OpenFresh): void {
  describe("the bytes of a book", () => {
    const bench = storeForAll(openFresh);

    test("an upload is counted and hashed while it is stored, and read back in order", async () => {
      const { books } = bench.store;
      const [user, id] = [unique("user"), unique("book")];
      const stored = await books.storeBytes(user, id, pieces("one ", "", "two ", "three"));
      expect(stored).toEqual({ bytes: 13, sha256: sha256("one two three") });
      expect((await collect(books.readBytes(user, id))).toString()).toBe("one two three");
    });

    test("an empty upload is a file without bytes", async () => {
      const { books } = bench.store;
      const [user, id] = [unique("user"), unique("book")];
      expect(await books.storeBytes(user, id, pieces())).toEqual({ bytes: 0, sha256: sha256("") });
      expect(await collect(books.readBytes(user, id))).toHaveLength(0);
    });

    test("an error thrown by an upload is thrown on, and nothing of it stays", async () => {
      const { books } = bench.store;
      const [user, id] = [unique("user"), unique("book")];
      const broken = new Error("the client went away");
      const upload = async function* (): AsyncGenerator<Uint8Array> {
        yield randomBytes(600_000);
        await Promise.resolve();
        throw broken;
      };
      await expect(books.storeBytes(user, id, upload())).rejects.toBe(broken);
      expect(await collect(books.readBytes(user, id))).toHaveLength(0);
      expect(await books.storeBytes(user, id, pieces("again"))).toMatchObject({ bytes: 5 });
      expect((await collect(books.readBytes(user, id))).toString()).toBe("again");
    });

    test("an upload that is still on its way cannot be read", async () => {
      const { books } = bench.store;
      const [user, id] = [unique("user"), unique("book")];
      let seen = -1;
      const upload = async function* (): AsyncGenerator<Uint8Array> {
        yield randomBytes(700_000);
        seen = (await collect(books.readBytes(user, id))).length;
        yield randomBytes(10);
      };
      await books.storeBytes(user, id, upload());
      expect(seen).toBe(0);
      expect(await collect(books.readBytes(user, id))).toHaveLength(700_010);
    });

    test("30 MB come back byte for byte", async () => {
      const { books } = bench.store;
      const [user, id] = [unique("user"), unique("book")];
      const content = randomBytes(30 * 1024 * 1024 + 17);
      const upload = async function* (): AsyncGenerator<Uint8Array> {
        for (let at = 0; at < content.length; at += 65_536 + 11) {
          yield await Promise.resolve(content.subarray(at, at + 65_536 + 11));
        }
      };
      const stored = await books.storeBytes(user, id, upload());
      expect(stored).toEqual({ bytes: content.length, sha256: sha256(content) });
      expect(sha256(await collect(books.readBytes(user, id)))).toBe(stored.sha256);
    });

    test("removed bytes are gone, and removing them again does no harm", async () => {
      const { books } = bench.store;
      const [user, id] = [unique("user"), unique("book")];
      await books.storeBytes(user, id, pieces("abc"));
      await books.removeBytes(user, id);
      await books.removeBytes(user, id);
      expect(await collect(books.readBytes(user, id))).toHaveLength(0);
    });

    test("another user neither reads nor removes bytes, nor overwrites them under the same id", async () => {
      const { books } = bench.store;
      const [user, other, id] = [unique("user"), unique("user"), unique("book")];
      await books.storeBytes(user, id, pieces("mine"));
      expect(await collect(books.readBytes(other, id))).toHaveLength(0);
      await books.removeBytes(other, id);
      await books.storeBytes(other, id, pieces("theirs"));
      expect((await collect(books.readBytes(user, id))).toString()).toBe("mine");
      expect((await collect(books.readBytes(other, id))).toString()).toBe("theirs");
    });
  });

  describe("a book", () => {
    const bench = storeForAll(openFresh);

    test("a new book is stored, with nothing known of its inside yet", async () => {
      const { store, clock } = bench;
      const user = unique("user");
      const wanted = newBook({ fileName: "Zauberberg ☃ – 𝔐.epub", format: "epub", bytes: 1_234_567_890 });
      const { book, created } = await store.books.create(user, wanted);
      expect(created).toBe(true);
      expect(book).toEqual({
        ...wanted,
        user,
        status: "stored",
        title: null,
        authors: [],
        language: null,
        chapters: 0,
        characters: 0,
        warnings: [],
        edition: null,
        error: null,
        createdAt: new Date(clock.at),
        readyAt: null,
        deletedAt: null,
        revision: book.revision,
      });
      expect(await store.books.get(user, wanted.id)).toEqual(book);
    });

    test("the same bytes again answer the book that is there, and make nothing", async () => {
      const { books } = bench.store;
      const user = unique("user");
      const first = await storedBook(bench.store, user, "the same bytes");
      const again = await books.create(user, newBook({ sha256: first.sha256, bytes: first.bytes }));
      expect(again).toEqual({ created: false, book: first });
      expect((await books.list(user, { limit: 10, after: null })).items).toEqual([first]);
    });

    test("the same bytes at the same moment make one book", async () => {
      const { books } = bench.store;
      const user = unique("user");
      const all = await Promise.all(
        Array.from({ length: 8 }, () => books.create(user, newBook({ sha256: sha256(user) }))),
      );
      expect(all.filter((made) => made.created)).toHaveLength(1);
      expect(new Set(all.map((made) => made.book.id)).size).toBe(1);
    });

    test("the same bytes of another user, or of a deleted book, make a new book", async () => {
      const { books } = bench.store;
      const [user, other] = [unique("user"), unique("user")];
      const mine = await storedBook(bench.store, user, "shared bytes");
      const theirs = await books.create(other, newBook({ sha256: mine.sha256 }));
      expect(theirs).toMatchObject({ created: true, book: { user: other } });
      await books.delete(user, mine.id);
      expect(await books.create(user, newBook({ sha256: mine.sha256 }))).toMatchObject({ created: true });
    });

    test("books are listed newest first, page by page, each once though new ones arrive meanwhile", async () => {
      const { books } = bench.store;
      const user = unique("user");
      const made: string[] = [];
      for (let at = 0; at < 7; at++) made.unshift((await storedBook(bench.store, user)).id);
      await storedBook(bench.store, unique("user"));
      const seen: string[] = [];
      let after: string | null = null;
      do {
        const page: Awaited<ReturnType<typeof books.list>> = await books.list(user, { limit: 3, after });
        seen.push(...page.items.map((book) => book.id));
        after = page.next;
        await storedBook(bench.store, user);
      } while (after !== null);
      expect(seen).toEqual(made);
    });

    test("a page that holds the last item names no next one", async () => {
      const { books } = bench.store;
      const user = unique("user");
      expect(await books.list(user, { limit: 2, after: null })).toEqual({ items: [], next: null });
      const first = await storedBook(bench.store, user);
      const second = await storedBook(bench.store, user);
      const page = await books.list(user, { limit: 2, after: null });
      expect(page).toEqual({ items: [second, first], next: null });
      expect(await books.list(user, { limit: 1, after: null })).toEqual({ items: [second], next: second.id });
    });

    test("the bytes of a user are those of the books that are not deleted", async () => {
      const { books } = bench.store;
      const user = unique("user");
      expect(await books.bytesStored(user)).toBe(0);
      const one = await storedBook(bench.store, user, "12345");
      await storedBook(bench.store, user, "1234567");
      expect(await books.bytesStored(user)).toBe(12);
      await books.delete(user, one.id);
      expect(await books.bytesStored(user)).toBe(7);
    });

    test("parsing begins once, and raises the revision", async () => {
      const { books } = bench.store;
      const user = unique("user");
      const { id, revision } = await storedBook(bench.store, user);
      await books.markParsing(user, id);
      expect(await books.get(user, id)).toMatchObject({ status: "parsing", revision: revision + 1 });
      await books.markParsing(user, id);
      expect(await books.get(user, id)).toMatchObject({ status: "parsing", revision: revision + 1 });
    });

    test.each([["stored"], ["parsing"]])("a book becomes ready out of %s", async (status) => {
      const { store, clock } = bench;
      const user = unique("user");
      const { id } = await storedBook(store, user);
      if (status === "parsing") await store.books.markParsing(user, id);
      const before = await store.books.get(user, id);
      clock.advance(1_000);
      expect(await store.books.markReady(user, id, 2, PARSED)).toBe(true);
      expect(await store.books.get(user, id)).toEqual({
        ...before,
        ...PARSED,
        status: "ready",
        edition: 2,
        readyAt: new Date(clock.at),
        revision: (before?.revision ?? 0) + 1,
      });
    });

    test.each([["stored"], ["parsing"]])("a book is refused out of %s, with the reason", async (status) => {
      const { books } = bench.store;
      const user = unique("user");
      const { id, revision } = await storedBook(bench.store, user);
      if (status === "parsing") await books.markParsing(user, id);
      expect(await books.markRefused(user, id, FAILURE)).toBe(true);
      const raised = status === "parsing" ? 2 : 1;
      expect(await books.get(user, id)).toMatchObject({
        status: "refused",
        error: FAILURE,
        readyAt: null,
        revision: revision + raised,
      });
    });

    test("a book that is ready or refused stays so", async () => {
      const { books } = bench.store;
      const user = unique("user");
      const ready = await readyBook(bench.store, user);
      const refused = await storedBook(bench.store, user);
      await books.markRefused(user, refused.id, FAILURE);
      const before = await books.get(user, refused.id);
      for (const { id } of [ready, refused]) {
        await books.markParsing(user, id);
        expect(await books.markReady(user, id, 9, { ...PARSED, title: "late" })).toBe(false);
        expect(await books.markRefused(user, id, { code: "late", detail: "late" })).toBe(false);
      }
      expect(await books.get(user, ready.id)).toEqual(ready);
      expect(await books.get(user, refused.id)).toEqual(before);
    });

    test("a deleted book is invisible at once, with all that belongs to it", async () => {
      const { books } = bench.store;
      const user = unique("user");
      const { id } = await readyBook(bench.store, user);
      const kept = await readyBook(bench.store, user);
      expect(await books.delete(user, id)).toBe(true);
      expect(await books.delete(user, id)).toBe(false);
      expect(await books.get(user, id)).toBeNull();
      expect((await books.list(user, { limit: 10, after: null })).items).toEqual([kept]);
      expect(await books.outlines(user, id)).toEqual([]);
      expect(await books.chapter(user, id, 0)).toBeNull();
      expect(await collect(books.readBytes(user, id))).toHaveLength(0);
    });

    test("a book deleted while it is parsed becomes neither ready nor refused", async () => {
      const { books } = bench.store;
      const user = unique("user");
      const { id } = await storedBook(bench.store, user);
      await books.markParsing(user, id);
      await books.delete(user, id);
      expect(await books.markReady(user, id, 1, PARSED)).toBe(false);
      expect(await books.markRefused(user, id, FAILURE)).toBe(false);
      expect(await books.get(user, id)).toBeNull();
    });

    test("nothing of a book can be seen or changed by another user", async () => {
      const { books } = bench.store;
      const [user, other] = [unique("user"), unique("user")];
      const book = await storedBook(bench.store, user);
      const ready = await readyBook(bench.store, user);
      expect(await books.get(other, book.id)).toBeNull();
      expect(await books.list(other, { limit: 10, after: null })).toEqual({ items: [], next: null });
      expect(await books.bytesStored(other)).toBe(0);
      await books.markParsing(other, book.id);
      expect(await books.markReady(other, book.id, 1, PARSED)).toBe(false);
      expect(await books.markRefused(other, book.id, FAILURE)).toBe(false);
      expect(await books.outlines(other, ready.id)).toEqual([]);
      expect(await books.chapter(other, ready.id, 0)).toBeNull();
      await books.saveChapters(other, ready.id, 1, [chapter(0, { text: "forged" })]);
      expect((await books.chapter(user, ready.id, 0))?.text).toBe(chapter(0).text);
      expect(await books.delete(other, book.id)).toBe(false);
      expect(await books.get(user, book.id)).toEqual(book);
    });

    test("odd ids are of no book", async () => {
      const { books } = bench.store;
      const user = unique("user");
      for (const id of ODD_IDS) {
        expect(await books.get(user, id)).toBeNull();
        expect(await books.chapter(user, id, 0)).toBeNull();
        expect(await books.outlines(user, id)).toEqual([]);
        expect(await books.delete(user, id)).toBe(false);
        expect(await collect(books.readBytes(user, id))).toHaveLength(0);
        expect((await books.list(id, { limit: 1, after: id })).items).toEqual([]);
      }
    });
  });

  describe("chapters", () => {
    const bench = storeForAll(openFresh);

    test("chapters are the book's once it is ready, in reading order, whatever order they were written in", async () => {
      const { books } = bench.store;
      const user = unique("user");
      const { id } = await storedBook(bench.store, user);
      const all = Array.from({ length: 12 }, (_, at) =>
        chapter(at, { kind: at === 0 ? "front" : "body", path: at % 2 === 0 ? [] : ["Teil ☃", "a.b"] }),
      );
      await books.saveChapters(user, id, 1, all.slice(6));
      await books.saveChapters(user, id, 1, all.slice(0, 6));
      expect(await books.outlines(user, id)).toEqual([]);
      expect(await books.chapter(user, id, 3)).toBeNull();
      await books.markReady(user, id, 1, { ...PARSED, chapters: 12 });
      const outlines = all.map(({ text: _text, notes: _notes, ...outline }) => outline);
      expect(await books.outlines(user, id)).toEqual(outlines);
      expect(await books.chapter(user, id, 3)).toEqual(all[3]);
      expect(await books.chapter(user, id, 12)).toBeNull();
      expect(await books.chapter(user, id, -1)).toBeNull();
      expect(await books.chapter(user, id, 0.5)).toBeNull();
    });

    test("a repeated write of a chapter replaces it", async () => {
      const { books } = bench.store;
      const user = unique("user");
      const { id } = await storedBook(bench.store, user);
      await books.saveChapters(user, id, 1, [chapter(0), chapter(1)]);
      await books.saveChapters(user, id, 1, [chapter(1, { title: "Second", text: "anew", notes: ["n"] })]);
      await books.markReady(user, id, 1, PARSED);
      expect((await books.outlines(user, id)).map((outline) => outline.title)).toEqual([
        "Chapter 0",
        "Second",
      ]);
      expect(await books.chapter(user, id, 1)).toMatchObject({ text: "anew", notes: ["n"] });
    });

    test("the edition that the book was made ready with counts, whatever others wrote before and after", async () => {
      const { books } = bench.store;
      const user = unique("user");
      const { id } = await storedBook(bench.store, user);
      await books.saveChapters(user, id, 1, [chapter(0, { text: "first" }), chapter(5, { text: "first" })]);
      await books.saveChapters(user, id, 2, [chapter(0, { text: "second" })]);
      await books.markReady(user, id, 2, PARSED);
      await books.saveChapters(user, id, 1, [chapter(0, { text: "late" })]);
      expect(await books.outlines(user, id)).toHaveLength(1);
      expect((await books.chapter(user, id, 0))?.text).toBe("second");
      expect(await books.chapter(user, id, 5)).toBeNull();
    });

    test("a chapter of 3 million characters comes back as it was", async () => {
      const { books } = bench.store;
      const user = unique("user");
      const { id } = await storedBook(bench.store, user);
      const text = "Ein Satz mit ü, ☃ und 𝔐. ".repeat(120_000);
      await books.saveChapters(user, id, 1, [
        chapter(0, { text, length: text.length, notes: [text.slice(0, 9)] }),
      ]);
      await books.markReady(user, id, 1, PARSED);
      const read = await books.chapter(user, id, 0);
      expect(read?.text.length).toBe(text.length);
      expect(read?.text === text).toBe(true);
      expect(read?.notes).toEqual([text.slice(0, 9)]);
    });
  });
}

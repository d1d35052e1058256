import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { buildEpub, buildSampleEpub, sampleEpub } from "../src/books.ts";

const SOURCES = join(import.meta.dirname, "../sample-book/EPUB");

async function source(name: string): Promise<string> {
  return await readFile(join(SOURCES, name), "utf8");
}

function wordsOf(xhtml: string): number {
  return xhtml
    .replace(/<[^>]*>/g, " ")
    .split(/\s+/)
    .filter(Boolean).length;
}

test("the sample book that is shipped is what its sources make, byte for byte", async () => {
  const shipped = await readFile(sampleEpub());
  expect(shipped.equals(await buildSampleEpub())).toBe(true);
});

test("an EPUB starts with its media type, where a reader of the first bytes finds it", async () => {
  const made = await buildEpub({ title: "A", chapters: [{ title: "One", paragraphs: ["Text."] }] });
  for (const epub of [made, await readFile(sampleEpub())]) {
    expect(epub.subarray(0, 4).toString("latin1")).toBe("PK\u0003\u0004");
    expect(epub.subarray(30, 58).toString("latin1")).toBe("mimetypeapplication/epub+zip");
  }
});

test("an EPUB is the same whenever it is built, and another for another text", async () => {
  const plan = { title: "A & B", chapters: [{ title: "One", paragraphs: ["Text <with> marks."] }] };
  const first = await buildEpub(plan);
  expect((await buildEpub(plan)).equals(first)).toBe(true);
  expect((await buildEpub({ ...plan, title: "C" })).equals(first)).toBe(false);
});

test("the sample book has eight chapters of 500 to 900 words in two parts, all of them in both tables of contents", async () => {
  const [navigation, ncx, opf] = await Promise.all(["nav.xhtml", "toc.ncx", "package.opf"].map(source));
  const chapters = (await readdir(SOURCES)).filter((name) => name.startsWith("chapter-"));
  expect(chapters).toHaveLength(8);
  for (const name of [...chapters, "part-1.xhtml", "part-2.xhtml", "notes.xhtml"]) {
    expect(navigation).toContain(`href="${name}"`);
    expect(ncx).toContain(`src="${name}"`);
    expect(opf).toContain(`href="${name}"`);
  }
  for (const name of chapters) {
    const words = wordsOf(await source(name));
    expect(words).toBeGreaterThanOrEqual(500);
    expect(words).toBeLessThanOrEqual(900);
  }
});

test("every note of the sample book is referred to once, and leads back", async () => {
  const notes = await source("notes.xhtml");
  const ids = Array.from(notes.matchAll(/id="(note-\d+)" epub:type="endnote"/g), (match) => match[1]);
  const backlinks = Array.from(notes.matchAll(/href="(chapter-\d\.xhtml)#(ref-\d+)"/g), (match) =>
    match.slice(1),
  );
  expect(ids).toHaveLength(6);
  expect(backlinks).toHaveLength(6);
  for (const [index, [chapter = "", reference]] of backlinks.entries()) {
    const text = await source(chapter);
    expect(text).toContain(
      `epub:type="noteref" role="doc-noteref" id="${reference}" href="notes.xhtml#${ids[index]}"`,
    );
  }
});

import { mkdtemp, open, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { type BookFormat, detectFormat } from "../src/detect.ts";
import { BookError, type ParsedFile, parseBook } from "../src/index.ts";
import { buildEpub } from "./build-epub.ts";

/** A folder with real books: `epub`, `epubcheck`, `txt`. They are not part of this repository. */
const corpus = process.env["MYTHIC_CORPUS"];

interface Outcome {
  readonly file: string;
  readonly book: ParsedFile | null;
  readonly code: string;
}

async function readAll(folder: string, format: BookFormat): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const file of (await readdir(folder)).toSorted()) {
    outcomes.push(await readOne(join(folder, file), format));
  }
  return outcomes;
}

async function readOne(file: string, format: BookFormat): Promise<Outcome> {
  try {
    return { file, book: await parseBook(file, format), code: "opened" };
  } catch (error) {
    if (error instanceof BookError) {
      return { file, book: null, code: error.code };
    }
    throw error;
  }
}

function report(name: string, outcomes: readonly Outcome[]): void {
  const counts = new Map<string, number>();
  for (const { code } of outcomes) {
    counts.set(code, (counts.get(code) ?? 0) + 1);
  }
  const rows = [...counts].map(([code, count]) => `  ${code.padEnd(24)}${String(count).padStart(6)}`);
  process.stdout.write(`${[`${name}: ${outcomes.length} files`, ...rows].join("\n")}\n`);
}

async function headOf(file: string): Promise<Buffer> {
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(4096), 0, 4096, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

if (corpus === undefined) {
  process.stdout.write("The corpus suite was not run: MYTHIC_CORPUS names no folder.\n");
}

describe("real books", () => {
  test("each file of a folder counts as opened or by the code of its refusal", async () => {
    const folder = await mkdtemp(join(tmpdir(), "books-"));
    try {
      await writeFile(join(folder, "a.epub"), await buildEpub({ documents: { "a.xhtml": "<p>Text.</p>" } }));
      await writeFile(join(folder, "b.epub"), "no archive");
      const outcomes = await readAll(folder, "epub");
      expect(outcomes.map(({ code }) => code)).toEqual(["opened", "not_an_epub"]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  if (corpus !== undefined) {
    test("every EPUB opens with chapters, and its table of contents is found", async () => {
      const outcomes = await readAll(join(corpus, "epub"), "epub");
      report("epub", outcomes);
      const books = outcomes.flatMap(({ book }) => (book === null ? [] : [book]));
      expect([outcomes.length, books.length]).toEqual([128, 128]);
      expect(outcomes.filter(({ book }) => book?.tocEntries === 0).map(({ file }) => file)).toEqual([]);
      for (const { chapters } of books) {
        expect(chapters.length).toBeGreaterThan(0);
        let start = 0;
        for (const chapter of chapters) {
          expect([chapter.start, chapter.length]).toEqual([start, chapter.text.length]);
          expect(chapter.path.at(-1)).toBe(chapter.title);
          expect(chapter.title).not.toBe("");
          start += chapter.length;
        }
      }
    }, 120_000);

    test.each([
      ["se_pride-and-prejudice.epub", 61],
      ["se_frankenstein.epub", 29],
      ["se_moby-dick.epub", 136],
      ["readest__sample-alice.epub", 12],
      ["idpf_wasteland.epub", 5],
    ])("%s has %d chapters in its body", async (file, count) => {
      const { chapters } = await parseBook(join(corpus, "epub", file), "epub");
      expect(chapters.filter(({ kind }) => kind === "body").length).toBe(count);
    });

    test("every valid or merely doubtful conformance file opens, and the others do no harm", async () => {
      const outcomes = await readAll(join(corpus, "epubcheck"), "epub");
      report("epubcheck", outcomes);
      const good = outcomes.filter(({ file }) => /-(?:valid|warning|usage)\.epub$/.test(file));
      const refused = good.filter(({ code }) => code !== "opened").map(({ file, code }) => [file, code]);
      expect(refused).toEqual([
        [join(corpus, "epubcheck", "epub3_ocf-encryption-unknown-valid.epub"), "drm_protected"],
      ]);
    }, 60_000);

    test.each([
      ["Pride-and-Prejudic__1342-0.txt", 61],
      ["Frankenstein_84__frank10.txt", 28],
      ["Adventures-of-Huck__76-0.txt", 43],
      ["readest__alice.txt", 12],
    ])("%s has %d chapters in its body", async (file, count) => {
      const { chapters } = await parseBook(join(corpus, "txt", file), "text");
      expect(chapters.filter(({ kind }) => kind === "body").length).toBe(count);
      expect(chapters.map(({ text }) => text).join("\n")).not.toMatch(/project gutenberg/i);
    });

    test("formats are told by their first bytes", async () => {
      const wrong: string[] = [];
      for (const [folder, format] of [
        ["epub", "epub"],
        ["txt", "text"],
        ["docx", null],
        ["fb2", null],
        ["mobi", null],
      ] as const) {
        for (const file of await readdir(join(corpus, folder))) {
          const told = detectFormat(await headOf(join(corpus, folder, file)));
          if (told !== format) {
            wrong.push(`${file}: ${told}`);
          }
        }
      }
      expect(wrong).toEqual([]);
    });
  }
});

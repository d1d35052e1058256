import { describe, expect, test } from "@jest/globals";
import { outlineOf, parseText, refusalOf } from "./parse.ts";

const PROSE = `${"It was a long day and nobody said a word about the ship that had sunk.\n".repeat(12)}`;

function chaptersOf(headings: readonly string[]): string {
  return headings.map((heading) => `${heading}\n\n${PROSE}`).join("\n");
}

describe("encodings", () => {
  const russian = `Глава 1\n\n${"Все счастливые семьи похожи друг на друга. ".repeat(20)}\n`;
  const toLegacy = (text: string, label: string) => {
    const decoder = new TextDecoder(label);
    const codes = new Map(
      Array.from({ length: 256 }, (_, code) => [decoder.decode(Uint8Array.of(code)), code]),
    );
    return Buffer.from([...text].map((letter) => codes.get(letter) ?? 63));
  };

  test.each([
    ["UTF-8", Buffer.from(russian)],
    ["UTF-8 with a mark", Buffer.from(`\ufeff${russian}`)],
    ["UTF-16", Buffer.from(`\ufeff${russian}`, "utf16le")],
    ["UTF-16, the other way round", Buffer.from(`\ufeff${russian}`, "utf16le").swap16()],
    ["UTF-16 without a mark", Buffer.from(russian, "utf16le")],
    ["windows-1251", toLegacy(russian, "windows-1251")],
    ["KOI8-R", toLegacy(russian, "koi8-r")],
    ["IBM 866", toLegacy(russian, "ibm866")],
  ])("%s is decoded", async (_, bytes) => {
    const book = await parseText(bytes);
    expect(book.chapters.map(({ text }) => text).join("\n\n")).toBe(
      russian.trim().replace(/\n\n/g, "\n\n").trimEnd(),
    );
    expect(book.warnings).not.toContain("replaced_bytes");
  });

  test("Western European letters are decoded", async () => {
    const text = "Der Bär fährt über die Straße und grüßt höflich. ".repeat(20).trim();
    expect((await parseText(Buffer.from(text, "latin1"))).chapters[0]?.text).toBe(text);
  });

  test("a few broken bytes in UTF-8 are replaced, with a warning", async () => {
    const broken = Buffer.concat([Buffer.from(russian), Buffer.from([0xff]), Buffer.from(russian)]);
    expect((await parseText(broken)).warnings).toContain("replaced_bytes");
  });

  test("bytes that are no text are refused", async () => {
    const bytes = Buffer.from(Array.from({ length: 5_000 }, (_, index) => (index * 7919) % 256));
    expect(await refusalOf(parseText(bytes))).toBe("undecodable_text");
  });

  test("a file without words is refused", async () => {
    expect(await refusalOf(parseText(""))).toBe("no_text");
    expect(await refusalOf(parseText(" \r\n\t\n"))).toBe("no_text");
  });

  test("a file above the limits is refused", async () => {
    expect(await refusalOf(parseText("word ".repeat(100), { entryBytes: 100 }))).toBe("too_large");
    expect(await refusalOf(parseText("word ".repeat(100), { textUnits: 100 }))).toBe("too_large");
    expect(await refusalOf(parseText("word\n".repeat(100), { paragraphs: 100 }))).toBe("too_large");
  });
});

describe("Project Gutenberg", () => {
  const book = chaptersOf(["CHAPTER I.", "CHAPTER II."]);

  test.each([
    [
      "the present form",
      "The Project Gutenberg eBook of Sea Days\n\nTitle: Sea Days\n\nAuthor: Ann Author\n\nLanguage: English\n\n*** START OF THE PROJECT GUTENBERG EBOOK SEA DAYS ***\n\nProduced by Volunteers\n\n",
      "\n*** END OF THE PROJECT GUTENBERG EBOOK SEA DAYS ***\n\nLicence text of Project Gutenberg.",
    ],
    [
      "the middle form",
      "Project Gutenberg's Sea Days, by Ann Author\n\nTitle: Sea Days\nAuthor: Ann Author\nLanguage: English\n\n*** START OF THIS PROJECT GUTENBERG EBOOK SEA DAYS ***\n\nE-text prepared by Someone\n\n",
      "\nEnd of the Project Gutenberg EBook of Sea Days, by Ann Author\n\n*** END OF THIS PROJECT GUTENBERG EBOOK SEA DAYS ***\nLicence.",
    ],
    [
      "the oldest form",
      "**The Project Gutenberg Etext of Sea Days, by Ann Author**\n\n***START**THE SMALL PRINT!**FOR PUBLIC DOMAIN ETEXTS**START***\nLaw.\n\n*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*\n\n",
      "\nEnd of Project Gutenberg Etext of Sea Days, by Ann Author\n",
    ],
  ])("header and licence of %s are cut", async (_, header, footer) => {
    const parsed = await parseText(`${header}${book}${footer}`.replaceAll("\n", "\r\n"));
    expect(parsed).toMatchObject({ title: "Sea Days", authors: ["Ann Author"] });
    expect(outlineOf(parsed)).toEqual(["body: CHAPTER I.", "body: CHAPTER II."]);
    const text = parsed.chapters.map((chapter) => chapter.text).join("\n");
    expect(text).not.toMatch(/gutenberg|licence|volunteers|prepared|small print/i);
  });

  test("the header's language becomes a tag", async () => {
    const parsed = await parseText(`Project Gutenberg\nLanguage: French\n\n${book}`);
    expect(parsed.language).toBe("fr");
  });
});

describe("headings", () => {
  test.each([
    ["English", ["CHAPTER I.", "CHAPTER THE SECOND", "Chapter 3: The End"]],
    ["letters", ["Letter 1", "Letter 2", "LETTER THREE"]],
    ["Russian", ["ГЛАВА ПЕРВАЯ", "Глава 2", "ГЛАВА III"]],
    ["French", ["CHAPITRE PREMIER", "Chapitre II", "Chapitre 3. La fin"]],
    ["German", ["Erstes Kapitel", "Zweites Kapitel", "Kapitel 3"]],
    ["Spanish", ["CAPÍTULO PRIMERO", "Capítulo II", "Capítulo 3"]],
    ["Chinese", ["第一回 甄士隱夢幻識通靈", "第二回", "第三章 结尾"]],
    ["bare numerals", ["I", "II", "III."]],
    ["bare numbers", ["1", "2", "3"]],
  ])("%s are found", async (_, headings) => {
    const parsed = await parseText(chaptersOf(headings));
    expect(parsed.chapters.map(({ title }) => title)).toEqual(headings);
    expect(parsed.warnings).toEqual([]);
  });

  test("parts become the first step of the path and their lines go to the first chapter", async () => {
    const parsed = await parseText(
      `PART ONE\n\n${chaptersOf(["CHAPTER I", "CHAPTER II"])}\nPART TWO\n\n${chaptersOf(["CHAPTER I"])}`,
    );
    expect(outlineOf(parsed)).toEqual([
      "body: PART ONE > CHAPTER I",
      "body: PART ONE > CHAPTER II",
      "body: PART TWO > CHAPTER I",
    ]);
    expect(parsed.chapters[0]?.text).toMatch(/^PART ONE\n\nCHAPTER I\n\nIt was/);
  });

  test("a title on the heading's next line belongs to it", async () => {
    const parsed = await parseText(chaptersOf(["CHAPTER I\nThe Ship", "CHAPTER II.\nThe Storm"]));
    expect(parsed.chapters.map(({ title }) => title)).toEqual([
      "CHAPTER I. The Ship",
      "CHAPTER II. The Storm",
    ]);
  });

  test("a table of contents makes no chapters, whatever follows it", async () => {
    const names = [
      "CHAPTER I. The Ship",
      "CHAPTER II. The Storm",
      "CHAPTER III. The End",
      "CHAPTER IV. After",
    ];
    const listed = names.join("\n\n");
    const parsed = await parseText(`Sea Days\n\nCONTENTS\n\n${listed}\n\n${PROSE}\n\n${chaptersOf(names)}`);
    expect(outlineOf(parsed)).toEqual(["body: Sea Days", ...names.map((name) => `body: ${name}`)]);
  });

  test.each([
    "Chapter 3 of his book was read aloud.",
    "Part of the crew had left.",
    "Book I lent him.",
    "Letter writing is an art.",
    "I",
  ])("the sentence %j is no heading", async (sentence) => {
    const parsed = await parseText(
      `${chaptersOf(["CHAPTER I", "CHAPTER II", "CHAPTER III"])}\n${sentence}\n\n${PROSE}`,
    );
    expect(parsed.chapters.length).toBe(3);
  });

  test("what precedes the first chapter is front matter", async () => {
    const parsed = await parseText(`SEA DAYS\n\nby Ann\n\n${chaptersOf(["CHAPTER I", "CHAPTER II"])}`);
    expect(outlineOf(parsed)[0]).toBe("front: SEA DAYS");
  });

  test("without headings the text is cut evenly at paragraph ends, and says so", async () => {
    const text = Array.from({ length: 120 }, (_, index) => `${index}. ${PROSE}`).join("\n");
    const parsed = await parseText(text);
    expect(parsed.warnings).toEqual(["synthetic_chapters"]);
    expect(parsed.chapters.length).toBe(4);
    expect(parsed.chapters.every((chapter) => /^\d+\. It was/.test(chapter.text))).toBe(true);
    expect(parsed.chapters[0]?.title).toBe("Part 1 of 4");
  });
});

describe("paragraphs", () => {
  const only = async (text: string) => (await parseText(text)).chapters[0]?.text;

  test("wrapped lines are joined", async () => {
    expect(await only(`${PROSE}\nThe next one\n`)).toBe(
      `${PROSE.trim().replaceAll("\n", " ")}\n\nThe next one`,
    );
  });

  test("verse and indented lines stay lines", async () => {
    const verse = "    Rose is a rose\n    is a rose";
    const short = "Roses are red,\nviolets are blue,\nso it is said.";
    const text = await only(`${PROSE}\n${verse}\n\n${short}\n\n${PROSE}`);
    expect(text).toContain(
      "\n\nRose is a rose\nis a rose\n\nRoses are red,\nviolets are blue,\nso it is said.\n\n",
    );
  });

  test("a line is a paragraph where lines are not wrapped", async () => {
    const line = "A long paragraph in one line. ".repeat(10).trim();
    expect(await only(`${line}\n${line}\n`)).toBe(`${line}\n\n${line}`);
  });

  test("indented lines begin paragraphs where no empty lines do", async () => {
    const paragraph =
      `   It was late. ${"And so on it went until\nthe end of that day. ".repeat(2)}`.trimEnd();
    const text = await only(Array.from({ length: 5 }, () => paragraph).join("\n"));
    expect(text?.split("\n\n").length).toBe(5);
  });

  test("Chinese lines are joined without spaces", async () => {
    expect(await only("话说天下大势分久必合合久必分\n周末七国分争并入于秦\n及秦灭之后\n楚汉分争")).toContain(
      "必分周末",
    );
  });
});

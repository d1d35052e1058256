import { describe, expect, test } from "@jest/globals";
import { type SampleEpub, toc, xhtml } from "./build-epub.ts";
import { outlineOf, parseSample, refusalOf } from "./parse.ts";

const TWO: SampleEpub = {
  documents: {
    "one.xhtml": "<h1>One</h1><p>First text.</p>",
    "two.xhtml": "<h1>Two</h1><p>Second text.</p>",
  },
  nav: toc([
    ["One", "one.xhtml"],
    ["Two", "two.xhtml"],
  ]),
};
const ITEM = 'media-type="application/xhtml+xml"';

describe("metadata", () => {
  test("the main title, the writers and the first language are taken", async () => {
    const book = await parseSample({
      ...TWO,
      metadata:
        '<dc:title id="t">Real &amp; main</dc:title><meta refines="#t" property="title-type">main</meta>' +
        '<dc:creator id="a">Ann  Author</dc:creator><meta refines="#a" property="role">aut</meta>' +
        '<dc:creator opf:role="ill">Ida Drawer</dc:creator><dc:language>pt-BR</dc:language><dc:language>en</dc:language>',
    });
    expect(book).toMatchObject({ title: "Real & main", authors: ["Ann Author"], language: "pt-BR" });
  });

  test("a package with namespace prefixes is read", async () => {
    const opf =
      '<o:package xmlns:o="http://www.idpf.org/2007/opf" xmlns:d="http://purl.org/dc/elements/1.1/"><o:metadata><d:title>P</d:title></o:metadata>' +
      `<o:manifest><o:item id="x" href="one.xhtml" ${ITEM}/></o:manifest><o:spine><o:itemref idref="x"/></o:spine></o:package>`;
    const book = await parseSample({ ...TWO, files: { "OEBPS/book.opf": opf } });
    expect([book.title, book.chapters[0]?.text]).toEqual(["P", "One\n\nFirst text."]);
  });
});

describe("finding the files", () => {
  test("without a container the package document is found by its name", async () => {
    const book = await parseSample({ ...TWO, files: { "META-INF/container.xml": null } });
    expect([outlineOf(book), book.warnings]).toEqual([["body: One", "body: Two"], ["container_repaired"]]);
  });

  test("a container that points nowhere is repaired too", async () => {
    const container = '<container><rootfile full-path="gone.opf"/></container>';
    const book = await parseSample({ ...TWO, files: { "META-INF/container.xml": container } });
    expect(book.warnings).toEqual(["container_repaired"]);
  });

  test.each([
    ["percent-encoded", "my%20text.xhtml", "OEBPS/my text.xhtml"],
    ["not encoded at all", "my text.xhtml", "OEBPS/my text.xhtml"],
    ["through the parent folder", "../Text/a.xhtml", "Text/a.xhtml"],
    ["from the root", "/Text/a.xhtml", "Text/a.xhtml"],
    ["above the root", "../../../Text/a.xhtml", "Text/a.xhtml"],
    ["in another case", "TEXT.XHTML", "OEBPS/text.xhtml"],
    ["decomposed where the archive is composed", "e\u0301.xhtml", "OEBPS/\u00e9.xhtml"],
    ["composed where the archive is decomposed", "\u00e9.xhtml", "OEBPS/e\u0301.xhtml"],
    ["encoded in the archive as well", "a%20b.xhtml", "OEBPS/a%20b.xhtml"],
  ])("a reference that is %s leads to its file", async (_, href, name) => {
    const book = await parseSample({
      documents: {},
      packageBody: `<manifest><item id="x" href="${href}" ${ITEM}/></manifest><spine><itemref idref="x"/></spine>`,
      files: { [name]: xhtml("<p>Found.</p>") },
    });
    expect(book.chapters[0]?.text).toBe("Found.");
  });

  test("a spine item that cannot be read is replaced by its fallback, however far", async () => {
    const book = await parseSample({
      documents: { "text.xhtml": "<p>Readable.</p>" },
      packageBody: `<manifest><item id="a" href="a.pdf" media-type="application/pdf" fallback="b"/><item id="b" href="b.png" media-type="image/png" fallback="c"/>
        <item id="c" href="text.xhtml" ${ITEM}/></manifest><spine><itemref idref="a"/></spine>`,
      files: { "OEBPS/a.pdf": "%PDF-", "OEBPS/b.png": "png" },
    });
    expect(book.chapters[0]?.text).toBe("Readable.");
  });

  test("fallbacks that run in a circle end", async () => {
    const book = await parseSample({
      documents: {},
      packageBody:
        '<manifest><item id="a" href="a.pdf" media-type="application/pdf" fallback="b"/><item id="b" href="b.pdf" media-type="application/pdf" fallback="a"/></manifest><spine><itemref idref="a"/></spine>',
      files: { "OEBPS/a.pdf": "%PDF-", "OEBPS/b.pdf": "%PDF-" },
    });
    expect(book.warnings).toContain("no_text");
  });

  test("a document listed twice is read once", async () => {
    const book = await parseSample({
      ...TWO,
      packageBody: `<manifest><item id="a" href="one.xhtml" ${ITEM}/><item id="n" href="nav.xhtml" ${ITEM} properties="nav"/></manifest>
        <spine><itemref idref="a"/><itemref idref="a"/></spine>`,
    });
    expect(book.chapters.map(({ text }) => text)).toEqual(["One\n\nFirst text."]);
  });

  test("a document of the spine that is missing is a warning", async () => {
    const book = await parseSample({ ...TWO, files: { "OEBPS/two.xhtml": null } });
    expect([outlineOf(book), book.warnings]).toEqual([
      ["body: One"],
      ["document_missing", "toc_target_missing"],
    ]);
  });

  test("without a spine the documents come as they are listed", async () => {
    const book = await parseSample({
      ...TWO,
      packageBody: `<manifest><item id="b" href="two.xhtml" ${ITEM}/><item id="a" href="one.xhtml" ${ITEM}/></manifest>`,
    });
    expect([outlineOf(book), book.warnings]).toEqual([
      ["body: Two", "body: One"],
      ["spine_missing", "toc_missing"],
    ]);
  });

  test.each([
    [
      "utf-16le with a mark",
      Buffer.from(`\ufeff${xhtml("<p>Žluť</p>").replace("utf-8", "utf-16")}`, "utf16le"),
    ],
    ["utf-16le without one", Buffer.from(xhtml("<p>Žluť</p>").replace("utf-8", "utf-16"), "utf16le")],
    ["utf-16be", Buffer.from(`\ufeff${xhtml("<p>Žluť</p>")}`, "utf16le").swap16()],
    ["windows-1250", Buffer.from(xhtml("<p>\x8elu\x9d</p>").replace("utf-8", "windows-1250"), "latin1")],
  ])("a document in %s is decoded", async (_, bytes) => {
    const book = await parseSample({ documents: { "a.xhtml": bytes } });
    expect(book.chapters[0]?.text).toBe("Žluť");
  });
});

describe("chapters", () => {
  test("the navigation document wins over the NCX, and levels become paths", async () => {
    const book = await parseSample({
      documents: { "p.xhtml": "<h1>Part A</h1>", "1.xhtml": "<p>Text 1.</p>", "2.xhtml": "<p>Text 2.</p>" },
      nav: toc([
        [
          "Part A",
          "p.xhtml",
          [
            ["Chapter 1", "1.xhtml"],
            ["Chapter 2", "2.xhtml"],
          ],
        ],
      ]),
      ncx: '<navPoint><navLabel><text>Wrong</text></navLabel><content src="1.xhtml"/></navPoint>',
    });
    expect(book.tocEntries).toBe(3);
    expect(outlineOf(book)).toEqual(["body: Part A > Chapter 1", "body: Part A > Chapter 2"]);
    expect(book.chapters[0]?.text).toBe("Part A\n\nText 1.");
  });

  test("an NCX is read where there is no navigation document", async () => {
    const point = (title: string, src: string, inner = "") =>
      `<navPoint><navLabel><text>${title}</text></navLabel><content src="${src}"/>${inner}</navPoint>`;
    const book = await parseSample({
      ...TWO,
      nav: null,
      ncx: point("Outer", "one.xhtml", point("Inner", "two.xhtml")),
    });
    expect([outlineOf(book), book.tocEntries]).toEqual([["body: Outer > Inner"], 2]);
  });

  test("headings make chapters where nothing is listed", async () => {
    const long = `<p>${"Words and words. ".repeat(200)}</p>`;
    const book = await parseSample({
      documents: { "a.xhtml": `<h1>Book</h1><h2>First</h2>${long}<h2>Second</h2>${long}`, "b.xhtml": long },
    });
    expect([outlineOf(book), book.warnings, book.tocEntries]).toEqual([
      ["body: Book > First", "body: Book > Second"],
      ["toc_missing"],
      0,
    ]);
    expect(book.chapters[1]?.length).toBeGreaterThan(6_000);
  });

  test("without headings each document is a chapter", async () => {
    const book = await parseSample({ documents: { "a.xhtml": "<p>Alpha.</p>", "b.xhtml": "<p>Beta.</p>" } });
    expect(book.chapters.map(({ id, title, text }) => [id, title, text])).toEqual([
      ["c0001", "Untitled", "Alpha."],
      ["c0002", "Untitled", "Beta."],
    ]);
  });

  test("several chapters of one document are cut at their fragments", async () => {
    const book = await parseSample({
      documents: {
        "a.xhtml":
          '<div id="a"><h2>A</h2><p>Text a.</p></div><p>Tail <a id="b"/>starts b.</p><p id="c%d">Text c.</p>',
      },
      nav: toc([
        ["A", "a.xhtml#a"],
        ["B", "a.xhtml#b"],
        ["C", "a.xhtml#c%25d"],
      ]),
    });
    expect(book.chapters.map(({ text }) => text)).toEqual(["A\n\nText a.\n\nTail", "starts b.", "Text c."]);
  });

  test("a chapter goes on through documents that are not listed", async () => {
    const book = await parseSample({
      documents: { "1.xhtml": "<p>One.</p>", "1b.xhtml": "<p>Still one.</p>", "2.xhtml": "<p>Two.</p>" },
      nav: toc([
        ["One", "1.xhtml"],
        ["Two", "2.xhtml"],
      ]),
    });
    expect(book.chapters.map(({ text }) => text)).toEqual(["One.\n\nStill one.", "Two."]);
  });

  test("a fragment that does not exist leads to its document, with a warning", async () => {
    const book = await parseSample({ ...TWO, nav: toc([["One", "one.xhtml#gone"]]) });
    expect(book.chapters.map(({ text }) => text)).toEqual(["One\n\nFirst text.\n\nTwo\n\nSecond text."]);
    expect(book.warnings).toEqual(["toc_target_missing"]);
  });

  test("parts listed beside their chapters go into the chapters' paths", async () => {
    const names = ["p1", "1", "2", "p2", "3"];
    const book = await parseSample({
      documents: Object.fromEntries(
        names.map((name) => [
          `${name}.xhtml`,
          `<p>${name.startsWith("p") ? "PART" : "Long. ".repeat(200)}</p>`,
        ]),
      ),
      nav: toc([
        ["Part One", "p1.xhtml"],
        ["Chapter 1", "1.xhtml"],
        ["Chapter 2", "2.xhtml"],
        ["Part Two", "p2.xhtml"],
        ["Chapter 3", "3.xhtml"],
      ]),
    });
    expect(outlineOf(book)).toEqual([
      "body: Part One > Chapter 1",
      "body: Part One > Chapter 2",
      "body: Part Two > Chapter 3",
    ]);
    expect(book.chapters[2]?.text).toMatch(/^PART\n\nLong\./);
  });

  test("offsets and lengths put the texts end to end", async () => {
    const { chapters } = await parseSample(TWO);
    expect(chapters.map(({ index, start, length }) => [index, start, length])).toEqual([
      [0, 0, 16],
      [1, 16, 17],
    ]);
  });

  test("what is too long is cut at paragraph ends into numbered chapters", async () => {
    const paragraphs = Array.from(
      { length: 10 },
      (_, index) => `<p>Paragraph ${index} ${"x".repeat(80)}</p>`,
    );
    const sample = { ...TWO, documents: { "one.xhtml": paragraphs.join("") } };
    const book = await parseSample(sample, { chapterUnits: 400 });
    expect(book.warnings).toContain("chapter_split");
    expect(book.chapters.map(({ title }) => title)).toEqual(["One (1)", "One (2)", "One (3)"]);
    expect(book.chapters.every(({ length, text }) => length <= 400 && text.startsWith("Paragraph"))).toBe(
      true,
    );
    const whole = await parseSample(sample);
    expect(book.chapters.map(({ text }) => text).join("\n\n")).toBe(whole.chapters[0]?.text);
  });

  test("a table of contents that lists only the start gives way to headings", async () => {
    const long = `<p>${"Words and words. ".repeat(2_000)}</p>`;
    const book = await parseSample({
      documents: Object.fromEntries([1, 2, 3, 4].map((n) => [`${n}.xhtml`, `<h2>Chapter ${n}</h2>${long}`])),
      nav: toc([["Start", "1.xhtml"]]),
    });
    expect([book.chapters.length, book.warnings]).toEqual([4, ["toc_too_coarse"]]);
  });
});

describe("kinds of matter", () => {
  test("elements, titles and landmarks tell front and back matter from the body", async () => {
    const book = await parseSample({
      documents: {
        "cover.xhtml": '<section epub:type="cover"><p>Cover words</p></section>',
        "ded.xhtml": "<p>To a friend.</p>",
        "map.xhtml": "<p>Map of the land.</p>",
        "1.xhtml": `<section epub:type="bodymatter chapter"><p>${"Story. ".repeat(50)}</p></section>`,
        "idx.xhtml": '<section role="doc-index"><p>a, 1</p></section>',
        "about.xhtml": "<p>She lives by the sea.</p>",
      },
      nav: `${toc([
        ["Dedication", "ded.xhtml"],
        ["Map", "map.xhtml"],
        ["One", "1.xhtml"],
        ["Register of things", "idx.xhtml"],
        ["About the Author", "about.xhtml"],
      ])}<nav epub:type="landmarks"><ol><li><a epub:type="bodymatter" href="1.xhtml">Start</a></li></ol></nav>`,
    });
    expect(outlineOf(book)).toEqual([
      "front: Untitled",
      "front: Dedication",
      "front: Map",
      "body: One",
      "back: Register of things",
      "back: About the Author",
    ]);
  });

  test("a guide says what a whole document is for", async () => {
    const book = await parseSample({ ...TWO, guide: '<reference type="glossary" href="two.xhtml"/>' });
    expect(outlineOf(book)).toEqual(["body: One", "back: Two"]);
  });

  test("what is outside of the reading order stays a chapter of its own", async () => {
    const book = await parseSample({
      ...TWO,
      nav: toc([["One", "one.xhtml"]]),
      packageBody: `<manifest><item id="a" href="one.xhtml" ${ITEM}/><item id="b" href="two.xhtml" ${ITEM}/><item id="n" href="nav.xhtml" ${ITEM} properties="nav"/></manifest>
        <spine><itemref idref="a"/><itemref idref="b" linear="no"/></spine>`,
    });
    expect(outlineOf(book)).toEqual(["body: One", "back: Two"]);
  });

  test("a book that is nothing but front matter is all body", async () => {
    const book = await parseSample({ ...TWO, nav: toc([["Preface", "one.xhtml"]]) });
    expect(outlineOf(book)).toEqual(["body: Preface"]);
  });
});

describe("books without words", () => {
  test("a book of images opens, with a warning", async () => {
    const book = await parseSample({
      documents: { "1.xhtml": '<img src="1.png" alt="page"/>', "2.xhtml": '<img src="2.png" alt="page"/>' },
      nav: toc([
        ["Page 1", "1.xhtml"],
        ["Page 2", "2.xhtml"],
      ]),
    });
    expect(book.chapters.map(({ title, text }) => [title, text])).toEqual([
      ["Page 1", ""],
      ["Page 2", ""],
    ]);
    expect(book.warnings).toEqual(["no_text"]);
  });

  test("images and drawings in the spine are pages without words", async () => {
    const book = await parseSample({
      documents: {},
      packageBody:
        '<manifest><item id="a" href="a.svg" media-type="image/svg+xml"/><item id="b" href="b.png" media-type="image/png"/></manifest><spine><itemref idref="a"/><itemref idref="b"/></spine>',
      files: {
        "OEBPS/a.svg":
          "<svg xmlns='http://www.w3.org/2000/svg'><title>t</title><text>Drawn words</text></svg>",
        "OEBPS/b.png": "png",
      },
    });
    expect(book.chapters.map(({ text }) => text)).toEqual(["Drawn words"]);
  });

  test("a listed page without words is left out of a book that has some", async () => {
    const book = await parseSample({
      documents: { "1.xhtml": "<img src='1.png'/>", "2.xhtml": "<p>Words.</p>" },
      nav: toc([
        ["Picture", "1.xhtml"],
        ["Words", "2.xhtml"],
      ]),
    });
    expect([outlineOf(book), book.warnings]).toEqual([["body: Words"], ["chapter_without_text"]]);
  });

  test("a package with nothing to read is refused", async () => {
    const sample = { documents: {}, packageBody: "<manifest/><spine/>" };
    expect(await refusalOf(parseSample(sample))).toBe("no_text");
  });
});

import { describe, expect, test } from "@jest/globals";
import { buildEpub, findHeaders, type SampleEpub, sampleFiles, toc, xhtml, zip } from "./build-epub.ts";
import { parseBytes, parseSample, refusalOf } from "./parse.ts";

const BOOK: SampleEpub = { documents: { "a.xhtml": "<p>Text.</p>" }, nav: toc([["A", "a.xhtml"]]) };
const TEXT = "OEBPS/a.xhtml";

function encryption(algorithm: string): string {
  return (
    '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container" xmlns:enc="http://www.w3.org/2001/04/xmlenc#"><enc:EncryptedData>' +
    `<enc:EncryptionMethod Algorithm="${algorithm}"/><KeyInfo><EncryptedKey><EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#kw-aes128"/></EncryptedKey></KeyInfo>` +
    '<enc:CipherData><enc:CipherReference URI="OEBPS/font.otf"/></enc:CipherData></enc:EncryptedData></encryption>'
  );
}

describe("protection", () => {
  test.each(["http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"])(
    "fonts obfuscated by %s do not hinder reading",
    async (algorithm) => {
      const book = await parseSample({
        ...BOOK,
        files: { "META-INF/encryption.xml": encryption(algorithm) },
      });
      expect(book.chapters[0]?.text).toBe("Text.");
    },
  );

  test.each([
    [
      "any other encryption",
      "META-INF/encryption.xml",
      encryption("http://www.w3.org/2001/04/xmlenc#aes256-cbc"),
    ],
    ["an encryption without a name", "META-INF/encryption.xml", "<encryption><EncryptedData/></encryption>"],
    ["an LCP licence", "META-INF/license.lcpl", "{}"],
    ["a FairPlay file", "META-INF/sinf.xml", "<x/>"],
  ])("%s is refused as DRM", async (_, name, content) => {
    expect(await refusalOf(parseSample({ ...BOOK, files: { [name]: content } }))).toBe("drm_protected");
  });

  test("an archive with a password is refused", async () => {
    const bytes = await buildEpub(BOOK);
    const { central, local } = findHeaders(bytes, TEXT);
    bytes.writeUInt16LE(bytes.readUInt16LE(central + 8) | 1, central + 8);
    bytes.writeUInt16LE(bytes.readUInt16LE(local + 6) | 1, local + 6);
    expect(await refusalOf(parseBytes(bytes))).toBe("encrypted_archive");
  });
});

describe("broken archives", () => {
  test("what is no archive is no EPUB", async () => {
    expect(await refusalOf(parseBytes(Buffer.from("Just words.")))).toBe("not_an_epub");
    expect(await refusalOf(parseBytes(Buffer.alloc(0)))).toBe("not_an_epub");
  });

  test("an archive without a package document holds no book", async () => {
    const bytes = await zip([["word/document.xml", Buffer.from("<w/>")]]);
    expect(await refusalOf(parseBytes(bytes))).toBe("no_package_document");
  });

  test("an archive cut short anywhere is refused as damaged", async () => {
    const bytes = await buildEpub(BOOK);
    for (const share of [0.1, 0.5, 0.9, 0.99]) {
      const cut = bytes.subarray(0, Math.floor(bytes.length * share));
      expect(await refusalOf(parseBytes(cut))).toBe("damaged_archive");
    }
  });

  test("an archive with any one byte changed opens or is refused, and never throws anything else", async () => {
    const bytes = await buildEpub(BOOK);
    const ends: string[] = [];
    for (let at = 0; at < bytes.length; at += 7) {
      const broken = Buffer.from(bytes);
      broken.writeUInt8(broken.readUInt8(at) ^ 0xff, at);
      ends.push(await refusalOf(parseBytes(broken)));
    }
    expect(ends.filter((end) => end.startsWith("leaks"))).toEqual([]);
    expect(ends).toContain("damaged_archive");
  });

  test.each(["../evil.xhtml", "/etc/evil.xhtml"])("an entry named %s is refused", async (name) => {
    const files = sampleFiles(BOOK);
    const harmless = "x".repeat(name.length);
    files.set(harmless, Buffer.from("x"));
    const bytes = await zip(files);
    const { central, local } = findHeaders(bytes, harmless);
    bytes.write(name, central + 46);
    bytes.write(name, local + 30);
    expect(await refusalOf(parseBytes(bytes))).toBe("unsafe_path");
  });

  test("UTF-8 names that are not marked as such are understood", async () => {
    const bytes = await buildEpub({ documents: { "größe.xhtml": "<p>Groß.</p>" } });
    const { central, local } = findHeaders(bytes, "OEBPS/größe.xhtml");
    bytes.writeUInt16LE(bytes.readUInt16LE(central + 8) & ~0x800, central + 8);
    bytes.writeUInt16LE(bytes.readUInt16LE(local + 6) & ~0x800, local + 6);
    expect((await parseBytes(bytes)).chapters[0]?.text).toBe("Groß.");
  });
});

describe("bombs", () => {
  const zeros = { ...BOOK, files: { [TEXT]: Buffer.alloc(5_000_000, "<b></b>") } };

  test("an entry that inflates beyond any real ratio is refused", async () => {
    expect(await refusalOf(parseSample(zeros))).toBe("too_large");
  });

  test("an entry above its limit is refused", async () => {
    const limits = { inflation: 100_000, entryBytes: 1_000_000 };
    expect(await refusalOf(parseSample(zeros, limits))).toBe("too_large");
    expect(await refusalOf(parseSample(zeros, { inflation: 100_000 }))).toBe("opened with 1 chapters");
  });

  test("all entries together above their limit are refused, though each is below its own", async () => {
    expect(await refusalOf(parseSample(BOOK, { totalBytes: 500 }))).toBe("too_large");
  });

  test.each([
    ["less", 100],
    ["more", 50_000_000],
  ])("an entry that declares %s than it holds is refused", async (_, declared) => {
    const bytes = await buildEpub({ ...BOOK, documents: { "a.xhtml": `<p>${"word ".repeat(20_000)}</p>` } });
    bytes.writeUInt32LE(declared, findHeaders(bytes, TEXT).central + 24);
    expect(await refusalOf(parseBytes(bytes, { inflation: 1_000_000 }))).toBe("damaged_archive");
  });

  test("entries that share their bytes are refused", async () => {
    const bytes = await buildEpub({
      documents: { "a.xhtml": "<p>Same.</p>", "b.xhtml": "<p>Same.</p>" },
    });
    const first = findHeaders(bytes, TEXT);
    bytes.writeUInt32LE(first.local, findHeaders(bytes, "OEBPS/b.xhtml").central + 42);
    expect(await refusalOf(parseBytes(bytes))).toBe("damaged_archive");
  });

  test.each([
    ["entries", { entries: 4 }],
    ["documents", { documents: 0 }],
    ["units of text", { textUnits: 3 }],
  ])("too many %s are refused", async (_, limits) => {
    expect(await refusalOf(parseSample(BOOK, limits))).toBe("too_large");
  });

  test("too many paragraphs, notes and marks are refused", async () => {
    const mark = '<a epub:type="noteref" href="#n">1</a>';
    const note = '<aside epub:type="footnote" id="n">N</aside>';
    const documents = {
      "a.xhtml": `<p>A${mark}</p>${note}`,
      "b.xhtml": `<p>B${mark}</p>${note}<p>C</p><p>D</p>`,
    };
    expect(await refusalOf(parseSample({ documents }, { paragraphs: 6 }))).toBe("too_large");
    expect(await refusalOf(parseSample({ documents }, { paragraphs: 8 }))).toBe("opened with 2 chapters");
  });

  test("a paragraph without end is cut", async () => {
    const documents = { "a.xhtml": `<p>${"word ".repeat(500_000)}</p>` };
    const book = await parseSample({ documents }, { inflation: 100_000 });
    expect(book.chapters.map(({ length }) => length <= 1_000_000)).toEqual([true, true, true]);
  });

  test("text is counted over all documents and notes", async () => {
    const note = '<aside epub:type="footnote">1234567890</aside>';
    const documents = { "a.xhtml": `<p>12345</p>${note}`, "b.xhtml": `<p>12345</p>${note}` };
    expect(await refusalOf(parseSample({ documents }, { textUnits: 29 }))).toBe("too_large");
    expect(await refusalOf(parseSample({ documents }, { textUnits: 60 }))).toBe("opened with 2 chapters");
  });

  test.each([
    ["the text", TEXT, xhtml("<div>".repeat(200_000))],
    ["the package", "OEBPS/book.opf", "<a>".repeat(200_000)],
    ["the contents", "OEBPS/nav.xhtml", xhtml(`<nav epub:type="toc">${"<ol><li>".repeat(100_000)}`)],
    ["the container", "META-INF/container.xml", "<a>".repeat(200_000)],
  ])("endless nesting in %s is refused at once", async (_, name, content) => {
    const started = performance.now();
    expect(await refusalOf(parseSample({ ...BOOK, files: { [name]: content } }))).toBe("too_large");
    expect(performance.now() - started).toBeLessThan(5_000);
  });

  test("entities that a document declares are neither expanded nor fetched", async () => {
    const laughs = Array.from({ length: 9 }, (_, n) => `<!ENTITY l${n + 1} "${`&l${n};`.repeat(10)}">`).join(
      "",
    );
    const document = `<?xml version="1.0"?><!DOCTYPE html [<!ENTITY l0 "ha">${laughs}<!ENTITY f SYSTEM "file:///etc/passwd">]><html><body><p>A &l9; &f; z</p></body></html>`;
    const book = await parseSample({ documents: { "a.xhtml": document } });
    expect(book.chapters[0]?.text).toMatch(/A &l9; &f; z$/);
    expect(book.chapters[0]?.length).toBeLessThan(2_000);
  });

  test("a million marks on one letter cost no time", async () => {
    const started = performance.now();
    const book = await parseSample(
      { documents: { "a.xhtml": `<p>a${"\u0301\u0323".repeat(500_000)}</p>` } },
      { inflation: 100_000 },
    );
    expect(book.chapters[0]?.length).toBeLessThan(100);
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});

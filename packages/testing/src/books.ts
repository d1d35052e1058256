import { readdir, readFile } from "node:fs/promises";
import { join, sep } from "node:path";
import { type EpubEntry, zipEpub } from "./epub-file.ts";

const SAMPLE_FOLDER = join(import.meta.dirname, "../sample-book");

/** The path of the book that the repository ships: a story of eight chapters in two parts, with notes. */
export function sampleEpub(): string {
  return join(SAMPLE_FOLDER, "the-tide-bell-of-orrin.epub");
}

/** Makes the sample book of its sources: what stands in `META-INF` and `EPUB`. */
export async function buildSampleEpub(): Promise<Buffer> {
  const entries: EpubEntry[] = [];
  for (const folder of ["META-INF", "EPUB"]) {
    const names = await readdir(join(SAMPLE_FOLDER, folder), { recursive: true, withFileTypes: true });
    const paths = names.filter((name) => name.isFile()).map((name) => join(name.parentPath, name.name));
    for (const path of paths.sort()) {
      const inside = path.slice(SAMPLE_FOLDER.length + 1).replaceAll(sep, "/");
      entries.push([inside, await readFile(path)]);
    }
  }
  return await zipEpub(entries, false);
}

export interface BookPlan {
  readonly title: string;
  /** `Test Author` without it. */
  readonly authors?: readonly string[];
  /** BCP 47; `en` without it. */
  readonly language?: string;
  /** `urn:test:` and the title without it. */
  readonly identifier?: string;
  readonly chapters: readonly ChapterPlan[];
  /** More files of the archive, or others instead of those made here: path to content. */
  readonly files?: Readonly<Record<string, string | Buffer>>;
}

export interface ChapterPlan {
  readonly title: string;
  /** Paragraphs of plain text. */
  readonly paragraphs?: readonly string[];
  /** XHTML for the body instead of a heading and paragraphs. */
  readonly body?: string;
}

/** A small valid EPUB 3 with a navigation document, for tests. */
export async function buildEpub(plan: BookPlan): Promise<Buffer> {
  const files = new Map<string, string | Buffer>([
    ["META-INF/container.xml", CONTAINER],
    ["EPUB/package.opf", packageDocument(plan)],
    ["EPUB/nav.xhtml", navigation(plan)],
    ...plan.chapters.map((chapter, index): [string, string] => [
      `EPUB/chapter-${index + 1}.xhtml`,
      chapterDocument(chapter),
    ]),
    ...Object.entries(plan.files ?? {}),
  ]);
  return await zipEpub([...files], true);
}

const CONTAINER = `<?xml version="1.0" encoding="utf-8"?>
<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0">
  <rootfiles><rootfile full-path="EPUB/package.opf" media-type="application/oebps-package+xml"/></rootfiles>
</container>
`;

function packageDocument(plan: BookPlan): string {
  const {
    title,
    authors = ["Test Author"],
    language = "en",
    identifier = `urn:test:${title}`,
    chapters,
  } = plan;
  const ids = chapters.map((_, index) => `chapter-${index + 1}`);
  const items = ids.map(
    (id) => `    <item id="${id}" href="${id}.xhtml" media-type="application/xhtml+xml"/>`,
  );
  return `<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="book-id">
  <metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
    <dc:identifier id="book-id">${escapeXml(identifier)}</dc:identifier>
    <dc:title>${escapeXml(title)}</dc:title>
${authors.map((author) => `    <dc:creator>${escapeXml(author)}</dc:creator>`).join("\n")}
    <dc:language>${escapeXml(language)}</dc:language>
    <meta property="dcterms:modified">2026-01-01T00:00:00Z</meta>
  </metadata>
  <manifest>
    <item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
${items.join("\n")}
  </manifest>
  <spine>
${ids.map((id) => `    <itemref idref="${id}"/>`).join("\n")}
  </spine>
</package>
`;
}

function navigation({ chapters }: BookPlan): string {
  const entries = chapters.map(
    ({ title }, index) => `<li><a href="chapter-${index + 1}.xhtml">${escapeXml(title)}</a></li>`,
  );
  return xhtml("Contents", `<nav epub:type="toc"><ol>\n${entries.join("\n")}\n</ol></nav>`);
}

function chapterDocument({ title, paragraphs = [], body }: ChapterPlan): string {
  const text = paragraphs.map((paragraph) => `<p>${escapeXml(paragraph)}</p>`).join("\n");
  return xhtml(title, body ?? `<h1>${escapeXml(title)}</h1>\n${text}`);
}

function xhtml(title: string, body: string): string {
  return `<?xml version="1.0" encoding="utf-8"?>
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops">
<head><title>${escapeXml(title)}</title></head>
<body>
${body}
</body>
</html>
`;
}

function escapeXml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { ZipFile } from "yazl";

/** The parts of a small EPUB. Paths are relative to `OEBPS/`. */
export interface SampleEpub {
  /** Inside of the package's metadata, after the title. */
  readonly metadata?: string;
  /** Content documents by path, in reading order: whole documents, or what goes into the body. */
  readonly documents: Readonly<Record<string, string | Buffer>>;
  /** Inside of the navigation document's body; null for a book without one. */
  readonly nav?: string | null;
  /** Inside of the NCX's navMap. */
  readonly ncx?: string;
  /** Items of the guide. */
  readonly guide?: string;
  /** Replaces the package document's manifest and spine. */
  readonly packageBody?: string;
  /** Further files by their path in the archive; null leaves one out that would be there. */
  readonly files?: Readonly<Record<string, string | Buffer | null>>;
}

const OPS = 'xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops"';

export function xhtml(body: string, bodyAttributes = ""): string {
  return `<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html><html ${OPS}><head><title>Untitled</title></head><body ${bodyAttributes}>${body}</body></html>`;
}

/** A navigation document's table of contents from nested lists of `[title, href, children]`. */
export type NavEntry = readonly [title: string, href: string | null, children?: readonly NavEntry[]];

export function toc(entries: readonly NavEntry[]): string {
  return `<nav epub:type="toc">${listOf(entries)}</nav>`;
}

function listOf(entries: readonly NavEntry[]): string {
  const items = entries.map(([title, href, children]) => {
    const label = href === null ? `<span>${title}</span>` : `<a href="${href}">${title}</a>`;
    return `<li>${label}${children === undefined ? "" : listOf(children)}</li>`;
  });
  return `<ol>${items.join("")}</ol>`;
}

/** The files of a sample, as they go into the archive. */
export function sampleFiles(sample: SampleEpub): Map<string, Buffer> {
  const items = Object.keys(sample.documents).map((path, index) => ({ id: `d${index}`, path }));
  const nav = sample.nav === undefined || sample.nav === null ? null : xhtml(sample.nav);
  const manifest = items.map(
    ({ id, path }) => `<item id="${id}" href="${encodeURI(path)}" media-type="application/xhtml+xml"/>`,
  );
  const body =
    sample.packageBody ??
    `<manifest>${manifest.join("")}
     ${nav === null ? "" : '<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>'}
     ${sample.ncx === undefined ? "" : '<item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/>'}
     </manifest><spine toc="ncx">${items.map(({ id }) => `<itemref idref="${id}"/>`).join("")}</spine>`;
  const files: Record<string, string | Buffer | null> = {
    mimetype: "application/epub+zip",
    "META-INF/container.xml":
      '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>' +
      '<rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>',
    "OEBPS/book.opf":
      '<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:opf="http://www.idpf.org/2007/opf">' +
      `<dc:title>Sample</dc:title>${sample.metadata ?? ""}</metadata>${body}<guide>${sample.guide ?? ""}</guide></package>`,
    ...(nav === null ? {} : { "OEBPS/nav.xhtml": nav }),
    ...(sample.ncx === undefined ? {} : { "OEBPS/toc.ncx": `<ncx><navMap>${sample.ncx}</navMap></ncx>` }),
  };
  for (const [path, content] of Object.entries(sample.documents)) {
    const isWhole = typeof content !== "string" || content.startsWith("<?xml") || content.startsWith("<html");
    files[`OEBPS/${path}`] = isWhole ? content : xhtml(content);
  }
  const all = Object.entries({ ...files, ...sample.files });
  return new Map(
    all.flatMap(([name, content]): [string, Buffer][] =>
      content === null ? [] : [[name, Buffer.from(content)]],
    ),
  );
}

export async function zip(files: Iterable<readonly [string, Buffer]>): Promise<Buffer> {
  const archive = new ZipFile();
  for (const [name, content] of files) {
    archive.addBuffer(content, name, { compress: name !== "mimetype" });
  }
  archive.end();
  return buffer(archive.outputStream);
}

export function buildEpub(sample: SampleEpub): Promise<Buffer> {
  return zip(sampleFiles(sample));
}

/** Calls `use` with a file of these bytes, which is gone afterwards. */
export async function withFile<Result>(
  bytes: Buffer,
  use: (path: string) => Promise<Result>,
): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), "books-"));
  try {
    const path = join(folder, "secret-name.bin");
    await writeFile(path, bytes);
    return await use(path);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Offsets of the central directory's header of an entry and of its local header. */
export function findHeaders(archive: Buffer, name: string): { central: number; local: number } {
  const wanted = Buffer.from(name);
  let central = archive.indexOf("PK\x01\x02", 0, "latin1");
  while (central >= 0) {
    const length = archive.readUInt16LE(central + 28);
    if (archive.subarray(central + 46, central + 46 + length).equals(wanted)) {
      return { central, local: archive.readUInt32LE(central + 42) };
    }
    central = archive.indexOf("PK\x01\x02", central + 4, "latin1");
  }
  throw new Error(`no entry ${name}`);
}

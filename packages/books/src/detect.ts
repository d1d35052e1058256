export type BookFormat = "epub" | "text";

export interface SupportedFormat {
  readonly format: BookFormat;
  /** For people. */
  readonly name: string;
  readonly mediaTypes: readonly string[];
  /** With the dot. */
  readonly extensions: readonly string[];
}

/** What `parseBook` reads, for answers that refuse everything else. */
export const SUPPORTED_FORMATS: readonly SupportedFormat[] = [
  { format: "epub", name: "EPUB 2 and 3", mediaTypes: ["application/epub+zip"], extensions: [".epub"] },
  { format: "text", name: "Plain text", mediaTypes: ["text/plain"], extensions: [".txt", ".text"] },
];

/** A fifth of what random bytes hold, ten times what real text files do (form feeds, an end-of-file mark). */
const MOST_CONTROL_CHARACTERS = 0.02;

/** Formats that begin like text. */
const MARKUP =
  /^\s*(?:<\?xml|<!doctype|<!--|<(?:html|head|body|svg|fictionbook)(?![a-z])|\{\\rtf|%!ps|%[^\n]{0,20}\s\d+ 0 obj)/i;

/** How other formats begin, as ISO 8859-1. Most binary ones need no entry: they hold zero bytes. */
const FOREIGN_STARTS = [
  "\x7fELF",
  "\x1f\x8b",
  "MZ\x90",
  "\x89PNG",
  "GIF8",
  "\xff\xd8\xff",
  "RIFF",
  "II*\0",
  "MM\0*",
  "Rar!",
  "7z\xbc\xaf",
  "BZh",
  "\xfd7zXZ",
  "\xd0\xcf\x11\xe0",
  "AT&TFORM",
  "ITSF",
  "OggS",
  "ID3",
  "fLaC",
];
/** Where a Palm database names its kind. */
const PALM_TYPE_AT = 60;
const PALM_TYPES = /^(?:BOOKMOBI|TEXtREAd)/;
/** The PDF mark may stand behind other bytes, up to here. */
const PDF_MARK_WITHIN = 1_024;

const ZIP_ENTRY = "PK\x03\x04";
const EPUB_SIGNS = /META-INF\/container\.xml|application\/epub\+zip|\.(?:opf|ncx|xhtml)|O(?:EB)?PS\//;
const OTHER_ARCHIVES =
  /\[Content_Types\]\.xml|META-INF\/MANIFEST\.MF|application\/vnd\.oasis|AndroidManifest\.xml/;

/** Which reader fits a file, told by its first bytes (up to 4,096). Names and declared types are never asked. */
export function detectFormat(head: Uint8Array): BookFormat | null {
  const bytes = Buffer.from(head.buffer, head.byteOffset, Math.min(head.byteLength, 4096));
  if (bytes.length === 0) {
    return null;
  }
  const signs = bytes.toString("latin1");
  if (signs.startsWith(ZIP_ENTRY)) {
    return isEpubArchive(bytes, signs) ? "epub" : null;
  }
  return !isForeign(signs) && isPlainText(decodeHead(bytes)) ? "text" : null;
}

function isForeign(signs: string): boolean {
  return (
    FOREIGN_STARTS.some((start) => signs.startsWith(start)) ||
    PALM_TYPES.test(signs.slice(PALM_TYPE_AT)) ||
    signs.slice(0, PDF_MARK_WITHIN).includes("%PDF-")
  );
}

function isEpubArchive(bytes: Buffer, signs: string): boolean {
  if (bytes.length < 30) {
    return false;
  }
  const method = bytes.readUInt16LE(8);
  const nameEnd = 30 + bytes.readUInt16LE(26);
  const name = signs.slice(30, nameEnd);
  if (name === "mimetype" && method === 0) {
    const content = signs.slice(nameEnd + bytes.readUInt16LE(28));
    return content.trimStart().startsWith("application/epub+zip");
  }
  return !OTHER_ARCHIVES.test(signs) && (name === "mimetype" || EPUB_SIGNS.test(signs));
}

function decodeHead(bytes: Buffer): string {
  const mark = bytes.readUIntBE(0, Math.min(2, bytes.length));
  if (mark === 0xfffe) {
    return new TextDecoder("utf-16le").decode(bytes);
  }
  if (mark === 0xfeff) {
    return new TextDecoder("utf-16be").decode(bytes);
  }
  return new TextDecoder("utf-8").decode(bytes);
}

function isPlainText(text: string): boolean {
  if (text.length === 0 || text.includes("\0") || MARKUP.test(text)) {
    return false;
  }
  const controls = text.match(/[^\P{Cc}\t\n\r\f\u0080-\u009f]/gu)?.length ?? 0;
  return controls <= text.length * MOST_CONTROL_CHARACTERS;
}

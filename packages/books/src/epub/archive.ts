import { open } from "node:fs/promises";
import { type Entry, openPromise, type ZipFile } from "yauzl";
import { BookError } from "../book-error.ts";
import type { ParseLimits } from "../parse-limits.ts";

/** Signature, sizes and dates of an entry's local header; its name and extra field follow. */
const LOCAL_HEADER_BYTES = 30;
/** Below this, any ratio is harmless. */
const FREE_BYTES = 1_000_000;

/** The files of an EPUB, read one at a time. Names are relative to the archive's root, in NFC. */
export interface Archive extends AsyncDisposable {
  readonly names: readonly string[];
  /** The name under which the archive holds what is called `name`: as it is, or but for upper and lower case. */
  find(name: string): string | null;
  /** Null when there is no such file. */
  read(name: string): Promise<Buffer | null>;
}

/** Opens a ZIP archive and checks its directory. Nothing is unpacked to disk. */
export async function openArchive(file: string, limits: ParseLimits): Promise<Archive> {
  const isZip = await startsLikeZip(file);
  const zip = await openPromise(file, { autoClose: false }).catch((error: unknown) => {
    throw isZip
      ? new BookError("damaged_archive", "The archive is damaged or incomplete.", { cause: error })
      : new BookError("not_an_epub", "The file is not an EPUB: it is no ZIP archive.", { cause: error });
  });
  try {
    return createArchive(zip, await readDirectory(zip, limits), limits);
  } catch (error) {
    zip.close();
    throw error;
  }
}

async function startsLikeZip(file: string): Promise<boolean> {
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0);
    return bytesRead === 4 && buffer.toString("latin1") === "PK\x03\x04";
  } finally {
    await handle.close();
  }
}

async function readDirectory(zip: ZipFile, limits: ParseLimits): Promise<Entry[]> {
  const entries: Entry[] = [];
  let declaredBytes = 0;
  try {
    for await (const entry of zip.eachEntry()) {
      entries.push(entry);
      declaredBytes += entry.uncompressedSize;
      if (entries.length > limits.entries) {
        throw new BookError("too_large", `The archive has more than ${limits.entries} entries.`);
      }
      if (declaredBytes > limits.totalBytes) {
        throw tooManyBytes(limits.totalBytes);
      }
      if (entry.isEncrypted()) {
        throw new BookError("encrypted_archive", "The archive is protected by a password.");
      }
    }
  } catch (error) {
    throw toBookError(error);
  }
  refuseOverlap(entries);
  return entries;
}

/** Entries that share their bytes let a small file unpack to any size. */
function refuseOverlap(entries: readonly Entry[]): void {
  const ordered = entries.toSorted((a, b) => a.relativeOffsetOfLocalHeader - b.relativeOffsetOfLocalHeader);
  let end = 0;
  for (const entry of ordered) {
    if (entry.relativeOffsetOfLocalHeader < end) {
      throw new BookError("damaged_archive", "Entries of the archive overlap.");
    }
    const dataBytes = entry.fileNameLength + entry.compressedSize;
    end = entry.relativeOffsetOfLocalHeader + LOCAL_HEADER_BYTES + dataBytes;
  }
}

function createArchive(zip: ZipFile, entries: readonly Entry[], limits: ParseLimits): Archive {
  const byName = new Map<string, Entry>();
  const byFoldedName = new Map<string, string>();
  for (const entry of entries) {
    const name = entryName(entry);
    if (!name.endsWith("/") && !byName.has(name)) {
      byName.set(name, entry);
      byFoldedName.set(name.toLowerCase(), byFoldedName.get(name.toLowerCase()) ?? name);
    }
  }
  const find = (name: string) => {
    const exact = name.normalize("NFC");
    return byName.has(exact) ? exact : (byFoldedName.get(exact.toLowerCase()) ?? null);
  };
  const inflated = { bytes: 0 };
  return {
    names: [...byName.keys()],
    find,
    async read(name) {
      const entry = byName.get(find(name) ?? "");
      return entry === undefined ? null : readEntry(zip, entry, inflated, limits);
    },
    async [Symbol.asyncDispose]() {
      zip.close();
    },
  };
}

/** Many tools write UTF-8 names without saying so; then yauzl takes them for code page 437. */
function entryName(entry: Entry): string {
  try {
    const name = new TextDecoder("utf-8", { fatal: true }).decode(entry.fileNameRaw);
    return name.replaceAll("\\", "/").normalize("NFC");
  } catch {
    return entry.fileName.normalize("NFC");
  }
}

async function readEntry(
  zip: ZipFile,
  entry: Entry,
  inflated: { bytes: number },
  limits: ParseLimits,
): Promise<Buffer> {
  const most = Math.min(
    limits.entryBytes,
    limits.totalBytes - inflated.bytes,
    Math.max(FREE_BYTES, entry.compressedSize * limits.inflation),
  );
  if (entry.uncompressedSize > most) {
    throw tooManyBytes(most);
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of await zip.openReadStreamPromise(entry)) {
      const data: Buffer = chunk;
      bytes += data.length;
      inflated.bytes += data.length;
      if (bytes > most) {
        throw tooManyBytes(most);
      }
      chunks.push(data);
    }
  } catch (error) {
    throw toBookError(error);
  }
  return Buffer.concat(chunks, bytes);
}

function tooManyBytes(most: number): BookError {
  return new BookError("too_large", `The book unpacks to more than the ${most} bytes allowed.`);
}

function toBookError(error: unknown): BookError {
  if (error instanceof BookError) {
    return error;
  }
  const isPath = error instanceof Error && /relative path|absolute path|fileName/i.test(error.message);
  return isPath
    ? new BookError("unsafe_path", "A name in the archive leads out of it.", { cause: error })
    : new BookError("damaged_archive", "The archive is damaged or incomplete.", { cause: error });
}

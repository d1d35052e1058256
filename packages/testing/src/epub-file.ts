import { ZipFile } from "yazl";

/** Path in the archive and content. */
export type EpubEntry = readonly [path: string, content: Buffer | string];

/** The earliest time that a ZIP can say, in local time as ZIP does: the same bytes on every day and in every time zone. */
const TIME = new Date(1980, 0, 1);

/**
 * An EPUB's archive: `mimetype` first, not compressed and without extra fields, as readers that look at the first bytes expect.
 * Without compression the bytes do not depend on the version of zlib.
 */
export async function zipEpub(entries: readonly EpubEntry[], compress: boolean): Promise<Buffer> {
  const zip = new ZipFile();
  const options = { mtime: TIME, mode: 0o100644, forceDosTimestamp: true };
  zip.addBuffer(Buffer.from("application/epub+zip"), "mimetype", { ...options, compress: false });
  for (const [path, content] of entries) zip.addBuffer(Buffer.from(content), path, { ...options, compress });
  zip.end();
  const chunks: Buffer[] = [];
  for await (const chunk of zip.outputStream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

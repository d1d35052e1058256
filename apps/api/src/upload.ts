import type { IncomingMessage } from "node:http";
import { detectFormat, SUPPORTED_FORMATS } from "@mythic/books/detect";
import { type BookFormat, newId, type Store, StoreUnavailableError } from "@mythic/runs";
import { mediaType, type Patience, readBody, requireNoEncoding } from "./body.ts";
import { withPatience } from "./deadline.ts";
import { Problem } from "./errors.ts";
import { fileNameOfDisposition, plainFileName } from "./file-name.ts";
import { readForm } from "./form.ts";
import type { UploadLimits } from "./limits.ts";

export interface UploadParts {
  readonly books: Store["books"];
  readonly limits: UploadLimits;
}

/** A file that is in the store and no book yet. */
export interface Upload {
  /** The id of the book it may become. */
  readonly id: string;
  readonly sha256: string;
  readonly bytes: number;
  readonly format: BookFormat;
  readonly fileName: string | null;
  /** The other fields of the form; none with a raw body. */
  readonly fields: Readonly<Record<string, string>>;
}

/** The first bytes that decide what a file is. */
const HEAD_BYTES = 4_096;
/** What a form may have around its file. */
const FORM_BYTES = 256 * 1024;

export function isForm(request: IncomingMessage): boolean {
  return mediaType(request) === "multipart/form-data";
}

/**
 * Streams a request's file into the store: the field `file` of a form, or the whole body. Whatever goes wrong, nothing of it
 * stays there.
 */
export async function receiveUpload(
  request: IncomingMessage,
  user: string,
  { books, limits }: UploadParts,
): Promise<Upload> {
  requireNoEncoding(request);
  const form = isForm(request);
  const announced = Number(request.headers["content-length"] ?? 0);
  if (announced > limits.maxBookBytes + (form ? FORM_BYTES : 0)) throw tooLarge(limits);
  const room = limits.maxUserBytes - (await withPatience(books.bytesStored(user)));
  const patience: Patience = { idleMs: limits.uploadIdleMs, code: "upload_timeout" };
  const id = newId("book");
  const keep = (content: AsyncIterable<Buffer>) => storeFile({ books, user, id, limits, room }, content);

  if (!form) {
    const stored = await keep(readBody(request, patience));
    const fileName = plainFileName(fileNameOfDisposition(request.headers["content-disposition"]));
    return { id, ...stored, fileName, fields: {} };
  }
  const { file, fields, fileName } = await readForm(request, patience, keep);
  if (file === null) throw new Problem("missing_file", "The form needs a file in its field `file`.");
  return { id, ...file, fileName: plainFileName(fileName), fields };
}

interface Destination extends UploadParts {
  readonly user: string;
  readonly id: string;
  /** Bytes that the user may still store. */
  readonly room: number;
}

interface StoredFile {
  readonly bytes: number;
  readonly sha256: string;
  readonly format: BookFormat;
}

async function storeFile(to: Destination, content: AsyncIterable<Buffer>): Promise<StoredFile> {
  const pieces = counted(to, content);
  const head: Buffer[] = [];
  let length = 0;
  while (length < HEAD_BYTES) {
    const { done, value } = await pieces.next();
    if (done) break;
    head.push(value);
    length += value.length;
  }
  if (length === 0) throw new Problem("empty_file", "The file has no bytes.");
  const first = Buffer.concat(head);
  const format = detectFormat(first.subarray(0, HEAD_BYTES));
  if (format === null) throw unsupportedFormat();
  const stall = watchForStalls(to.limits.storeStallMs);
  try {
    const storing = to.books.storeBytes(to.user, to.id, stall.watch(first, pieces));
    return { ...(await Promise.race([storing, stall.stalled])), format };
  } finally {
    stall.end();
  }
}

async function* counted(to: Destination, content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let bytes = 0;
  for await (const piece of content) {
    bytes += piece.length;
    if (bytes > to.limits.maxBookBytes) throw tooLarge(to.limits);
    if (bytes > to.room) {
      const detail = `All your books together have ${to.limits.maxUserBytes} bytes at most. Delete some first.`;
      throw new Problem("storage_full", detail);
    }
    yield piece;
  }
}

function tooLarge({ maxBookBytes }: UploadLimits): Problem {
  return new Problem("too_large", `A book has ${maxBookBytes} bytes at most.`);
}

function unsupportedFormat(): Problem {
  const names = SUPPORTED_FORMATS.map(({ name }) => name).join(", ");
  const formats = SUPPORTED_FORMATS.map(({ format, name, mediaTypes, extensions }) => {
    return { format, name, media_types: mediaTypes, extensions };
  });
  const detail = `The file's bytes are of no format that can be read. Readable are: ${names}.`;
  return new Problem("unsupported_format", detail, { more: { supported_formats: formats } });
}

/** Gives up when the store does not ask for the next piece in time; the store then removes what it has, when it can. */
function watchForStalls(stallMs: number) {
  const { promise: stalled, reject } = Promise.withResolvers<never>();
  // Whoever does not wait for it any more is not told.
  stalled.catch(() => undefined);
  let error: StoreUnavailableError | null = null;
  let timer: NodeJS.Timeout | undefined;
  const arm = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      error = new StoreUnavailableError(`The store took nothing for ${stallMs} ms.`);
      reject(error);
    }, stallMs);
  };
  async function* watch(first: Buffer, rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    arm();
    yield first;
    clearTimeout(timer);
    for await (const piece of rest) {
      if (error) throw error;
      arm();
      yield piece;
      clearTimeout(timer);
    }
    if (error) throw error;
    arm();
  }
  arm();
  return { watch, stalled, end: () => clearTimeout(timer) };
}

import type { IncomingMessage } from "node:http";
import { detectFormat, SUPPORTED_FORMATS } from "@mythic/books/detect";
import { type BookFormat, newId, type Store, StoreUnavailableError } from "@mythic/runs";
import type { ArrivingUpload } from "./arriving.ts";
import { mediaType, type Patience, readBody, requireNoEncoding } from "./body.ts";
import { withPatience } from "./deadline.ts";
import { Problem } from "./errors.ts";
import { fileNameOfDisposition, plainFileName } from "./file-name.ts";
import { type Form, readForm } from "./form.ts";
import type { UploadLimits } from "./upload-limits.ts";

export interface UploadParts {
  readonly books: Store["books"];
  readonly limits: UploadLimits;
  readonly arriving: ArrivingUpload;
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
  { books, limits, arriving }: UploadParts,
): Promise<Upload> {
  requireNoEncoding(request);
  const form = isForm(request);
  const announced = Number(request.headers["content-length"] ?? 0);
  if (announced > limits.maxBookBytes + (form ? FORM_BYTES : 0)) throw tooLarge(limits);
  const room = limits.maxUserBytes - (await withPatience(books.bytesStored(user)));
  const patience: Patience = { idleMs: limits.uploadIdleMs, code: "upload_timeout" };
  const id = newId("book");
  const to = { books, user, id, limits, arriving, room };
  const progress = { kept: false };
  const keep = async (content: AsyncIterable<Buffer>) => {
    const stored = await storeFile(to, content);
    progress.kept = true;
    return stored;
  };
  try {
    const received = form
      ? await readForm(request, withLimit(readBody(request, patience), limits), keep)
      : await readRawFile(request, readBody(request, patience), keep);
    const { file, fields, fileName } = received;
    if (file === null) throw new Problem("missing_file", "The form needs a file in its field `file`.");
    await requireRoom(to);
    return { id, ...file, fileName: plainFileName(fileName), fields };
  } catch (error) {
    // What follows a file in its form may be wrong, or never come. What cannot be removed now is collected after a day.
    if (progress.kept) await withPatience(books.removeBytes(user, id)).catch(() => undefined);
    throw error;
  }
}

async function readRawFile(
  request: IncomingMessage,
  body: AsyncIterable<Buffer>,
  keep: (content: AsyncIterable<Buffer>) => Promise<StoredFile>,
): Promise<Form<StoredFile>> {
  const file = await keep(body);
  return { file, fileName: fileNameOfDisposition(request.headers["content-disposition"]), fields: {} };
}

/** Others may have become books while this one came. */
async function requireRoom({ books, user, limits, arriving }: Destination): Promise<void> {
  const bytes = (await withPatience(books.bytesStored(user))) + arriving.add(0);
  if (bytes > limits.maxUserBytes) throw storageFull(limits);
}

/** What stands before, between and behind the parts of a form belongs to no file, and has no end of its own. */
async function* withLimit(body: AsyncIterable<Buffer>, limits: UploadLimits): AsyncGenerator<Buffer> {
  let bytes = 0;
  for await (const piece of body) {
    bytes += piece.length;
    if (bytes > limits.maxBookBytes + FORM_BYTES) throw tooLarge(limits);
    yield piece;
  }
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
    if (to.arriving.add(piece.length) > to.room) throw storageFull(to.limits);
    yield piece;
  }
}

function tooLarge({ maxBookBytes }: UploadLimits): Problem {
  return new Problem("too_large", `A book has ${maxBookBytes} bytes at most.`);
}

function storageFull({ maxUserBytes }: UploadLimits): Problem {
  const detail = `All your books together have ${maxUserBytes} bytes at most. Delete some first.`;
  return new Problem("storage_full", detail);
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

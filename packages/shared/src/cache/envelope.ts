import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { TOKEN_LENGTH } from "./token.ts";

/**
 * A value as it lies in Redis: a header of fixed length, the tokens of its tags, its etag and its payload, which is JSON. Numbers are big-endian.
 *
 * | Offset | Bytes | What |
 * |---:|---:|---|
 * | 0 | 1 | format, 1 |
 * | 1 | 1 | flags: 1 payload compressed by zstd, 2 there is no value and that is known |
 * | 2 | 8 | fresh until, float64, milliseconds since 1970 by the clock of Redis |
 * | 10 | 8 | may be served until, in the same way |
 * | 18 | 8 | revision, float64; minus infinity when there is none |
 * | 26 | 8 | stamp, float64: a random number that tells writes apart |
 * | 34 | 4 | how long the load took, uint32, milliseconds |
 * | 38 | 1 | number of tags |
 * | 39 | 2 | bytes of the etag, uint16 |
 * | 41 | 12 each | tokens of the tags, ASCII |
 * | … | | etag, UTF-8 |
 * | … | | payload |
 *
 * The scripts in `scripts.ts` read and write fields by these offsets.
 */
export const FORMAT = 1;
export const FRESH_UNTIL_AT = 2;
export const REVISION_AT = 18;
export const STAMP_AT = 26;
export const TAGS_AT = 38;
export const HEADER_BYTES = 41;

const ZSTD = 1;
const NOTHING = 2;

/** Smaller ones gain nothing. */
const COMPRESS_FROM_BYTES = 4_096;
/** What is kept must be smaller than this share. */
const WORTH_IT = 0.85;
/** More is not unpacked, whatever the header says. */
const MOST_UNPACKED_BYTES = 268_435_456;
const FASTEST = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/** Times in milliseconds by the clock of Redis. */
export interface Header {
  readonly freshUntil: number;
  readonly servedUntil: number;
  readonly revision: number;
  readonly stamp: number;
  readonly loadMs: number;
  readonly etag: string | null;
}

export interface Payload {
  readonly bytes: Buffer;
  readonly compressed: boolean;
  readonly rawBytes: number;
}

export interface Envelope extends Header {
  /** The tokens of the tags, one after the other. */
  readonly tokens: string;
  readonly tagCount: number;
  /** JSON, or null when it is known that there is no value. */
  readonly json: string | null;
  readonly compressed: boolean;
  /** Of the JSON. */
  readonly rawBytes: number;
}

/** JSON as it is stored: compressed from 4 KB on, if that saves 15 %. */
export function packPayload(json: string): Payload {
  const raw = Buffer.from(json);
  if (raw.length >= COMPRESS_FROM_BYTES) {
    const packed = zstdCompressSync(raw, FASTEST);
    if (packed.length <= raw.length * WORTH_IT)
      return { bytes: packed, compressed: true, rawBytes: raw.length };
  }
  return { bytes: raw, compressed: false, rawBytes: raw.length };
}

/** An envelope in two parts, between which the tokens of `tagCount` tags belong. Without a payload it says that there is no value. */
export function encodeEnvelope(
  header: Header,
  tagCount: number,
  payload: Payload | null,
): [head: Buffer, tail: Buffer] {
  const etag = Buffer.from(header.etag ?? "");
  const head = Buffer.allocUnsafe(HEADER_BYTES);
  head.writeUInt8(FORMAT, 0);
  head.writeUInt8((payload === null ? NOTHING : 0) | (payload?.compressed ? ZSTD : 0), 1);
  head.writeDoubleBE(header.freshUntil, FRESH_UNTIL_AT);
  head.writeDoubleBE(header.servedUntil, 10);
  head.writeDoubleBE(header.revision, REVISION_AT);
  head.writeDoubleBE(header.stamp, STAMP_AT);
  head.writeUInt32BE(Math.min(0xffff_ffff, Math.round(header.loadMs)), 34);
  head.writeUInt8(tagCount, TAGS_AT);
  head.writeUInt16BE(etag.length, 39);
  if (payload === null) return [head, etag];
  return [head, etag.length === 0 ? payload.bytes : Buffer.concat([etag, payload.bytes])];
}

/** Null for what is broken or of another format. */
export function decodeEnvelope(bytes: Buffer): Envelope | null {
  if (bytes.length < HEADER_BYTES || bytes[0] !== FORMAT) return null;
  const flags = bytes[1] ?? 0;
  if ((flags & ~(ZSTD | NOTHING)) !== 0) return null;
  const tagCount = bytes[TAGS_AT] ?? 0;
  const etagAt = HEADER_BYTES + tagCount * TOKEN_LENGTH;
  const payloadAt = etagAt + bytes.readUInt16BE(39);
  if (bytes.length < payloadAt) return null;
  const json = (flags & NOTHING) === 0 ? unpack(bytes, payloadAt, (flags & ZSTD) !== 0) : null;
  if (json === undefined) return null;
  return {
    freshUntil: bytes.readDoubleBE(FRESH_UNTIL_AT),
    servedUntil: bytes.readDoubleBE(10),
    revision: bytes.readDoubleBE(REVISION_AT),
    stamp: bytes.readDoubleBE(STAMP_AT),
    loadMs: bytes.readUInt32BE(34),
    tagCount,
    tokens: tagCount === 0 ? "" : bytes.toString("latin1", HEADER_BYTES, etagAt),
    etag: payloadAt === etagAt ? null : bytes.toString("utf8", etagAt, payloadAt),
    json,
    compressed: (flags & ZSTD) !== 0,
    rawBytes: json?.length ?? 0,
  };
}

function unpack(bytes: Buffer, from: number, compressed: boolean): string | undefined {
  if (!compressed) return bytes.toString("utf8", from);
  try {
    return zstdDecompressSync(bytes.subarray(from), { maxOutputLength: MOST_UNPACKED_BYTES }).toString();
  } catch {
    return undefined;
  }
}

/** A stamp as it stands in an envelope. */
export function stampBytes(stamp: number): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeDoubleBE(stamp);
  return bytes;
}

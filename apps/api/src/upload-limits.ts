/** Bytes of one book, unless configured. */
export const MAX_BOOK_BYTES = 100_000_000;
/** Bytes of all books of a user together, unless configured. */
export const MAX_USER_BYTES = 5_000_000_000;

export interface UploadLimits {
  /** Bytes of one book. */
  readonly maxBookBytes: number;
  /** Bytes of all books of a user together. */
  readonly maxUserBytes: number;
  /** Longest time without a byte from the client, in milliseconds. */
  readonly uploadIdleMs: number;
  /** Longest time that the store may take for a piece, in milliseconds. */
  readonly storeStallMs: number;
}

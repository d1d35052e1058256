/**
 * Why a file is refused.
 *
 * - `not_an_epub`: the bytes are no ZIP archive.
 * - `damaged_archive`: the archive is cut short, contradicts itself, or its entries overlap.
 * - `encrypted_archive`: entries of the archive need a password.
 * - `unsafe_path`: an entry's name leads out of the archive.
 * - `no_package_document`: nothing in the archive says what the book consists of.
 * - `drm_protected`: the contents are encrypted.
 * - `too_large`: one of the limits of `ParseLimits` is exceeded.
 * - `no_text`: there is nothing to read.
 * - `undecodable_text`: the bytes of a text file fit no known encoding.
 */
export const BOOK_ERROR_CODES = [
  "not_an_epub",
  "damaged_archive",
  "encrypted_archive",
  "unsafe_path",
  "no_package_document",
  "drm_protected",
  "too_large",
  "no_text",
  "undecodable_text",
] as const;

export type BookErrorCode = (typeof BOOK_ERROR_CODES)[number];

/** The file cannot be used, and reading it again will not help. The message is for people and holds no path. */
export class BookError extends Error {
  override readonly name = "BookError";
  readonly code: BookErrorCode;

  constructor(code: BookErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

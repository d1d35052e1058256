export { BOOK_ERROR_CODES, BookError, type BookErrorCode } from "./book-error.ts";
export { parseBook } from "./parse-book.ts";
export { DEFAULT_PARSE_LIMITS, type ParseLimits } from "./parse-limits.ts";
export {
  BOOK_WARNING_CODES,
  type BookWarningCode,
  type ChapterKind,
  type ParsedChapter,
  type ParsedFile,
} from "./parsed-file.ts";

import type { BookFormat } from "./detect.ts";
import { readEpub } from "./epub/read-epub.ts";
import { DEFAULT_PARSE_LIMITS, type ParseLimits } from "./parse-limits.ts";
import type { ParsedFile } from "./parsed-file.ts";
import { readTextFile } from "./text/read-text-file.ts";

/**
 * Reads a local file as a book. Rejects with a `BookError` when the file cannot be used, and with the system's error when it
 * cannot be opened. Runs for as long as the file's size demands; whoever takes files from strangers calls it in a process that
 * can be killed.
 */
export function parseBook(
  file: string,
  format: BookFormat,
  limits: Partial<ParseLimits> = {},
): Promise<ParsedFile> {
  const all = { ...DEFAULT_PARSE_LIMITS, ...limits };
  return format === "epub" ? readEpub(file, all) : readTextFile(file, all);
}

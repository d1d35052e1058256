import { BookError, type ParsedFile, type ParseLimits, parseBook } from "../src/index.ts";
import { buildEpub, type SampleEpub, withFile } from "./build-epub.ts";

export async function parseSample(sample: SampleEpub, limits?: Partial<ParseLimits>): Promise<ParsedFile> {
  return parseBytes(await buildEpub(sample), limits);
}

export function parseBytes(bytes: Buffer, limits?: Partial<ParseLimits>): Promise<ParsedFile> {
  return withFile(bytes, (path) => parseBook(path, "epub", limits));
}

export function parseText(text: string | Buffer, limits?: Partial<ParseLimits>): Promise<ParsedFile> {
  return withFile(Buffer.from(text), (path) => parseBook(path, "text", limits));
}

/** The refusal's code, or what was read instead of it. Fails when the message would show a path to the user. */
export async function refusalOf(parsing: Promise<ParsedFile>): Promise<string> {
  try {
    const { chapters } = await parsing;
    return `opened with ${chapters.length} chapters`;
  } catch (error) {
    if (!(error instanceof BookError)) {
      throw error;
    }
    return /[/\\]|secret-name/.test(error.message) ? `leaks: ${error.message}` : error.code;
  }
}

export function outlineOf({ chapters }: ParsedFile): string[] {
  return chapters.map(({ kind, path }) => `${kind}: ${path.join(" > ")}`);
}

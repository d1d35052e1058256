import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { Busboy, type BusboyFileStream, type BusboyInstance } from "@fastify/busboy";
import { ClientGone, Problem } from "./errors.ts";

/** A form is a file and a few options. */
const LIMITS = {
  files: 1,
  fields: 10,
  parts: 12,
  fieldNameSize: 100,
  fieldSize: 16 * 1024,
  headerPairs: 20,
  headerSize: 16 * 1024,
} as const;

export interface Form<File> {
  /** What `keep` made of the file; null when the form had none. */
  readonly file: File | null;
  readonly fileName: string | null;
  readonly fields: Readonly<Record<string, string>>;
}

/**
 * Reads a form out of a request's body, handing its file to `keep` while it arrives. When anything goes wrong, `keep` sees its content fail, and has ended
 * before this throws.
 */
export async function readForm<File>(
  request: IncomingMessage,
  body: AsyncGenerator<Buffer>,
  keep: (content: AsyncIterable<Buffer>) => Promise<File>,
): Promise<Form<File>> {
  const reader = new FormReader(openParser(request), keep);
  return await reader.read(body);
}

function openParser(request: IncomingMessage): BusboyInstance {
  const { headers } = request;
  try {
    return new Busboy({
      headers: { ...headers, "content-type": headers["content-type"] ?? "" },
      limits: LIMITS,
    });
  } catch (cause) {
    throw malformed({ cause });
  }
}

class FormReader<File> {
  readonly #parser: BusboyInstance;
  readonly #keep: (content: AsyncIterable<Buffer>) => Promise<File>;
  readonly #fields = new Map<string, string>();
  readonly #failed = Promise.withResolvers<never>();
  #stream: BusboyFileStream | null = null;
  #file: Promise<File> | null = null;
  #fileName: string | null = null;

  constructor(parser: BusboyInstance, keep: (content: AsyncIterable<Buffer>) => Promise<File>) {
    this.#parser = parser;
    this.#keep = keep;
    this.#failed.promise.catch(() => undefined);
    const fail = (problem: Problem) => this.#failed.reject(problem);
    parser.on("file", (name, stream, fileName) => this.#takeFile(name, stream, fileName));
    parser.on("field", (name, value, nameCut, valueCut) => {
      if (nameCut || valueCut) fail(new Problem("too_large", "A field of the form is too long."));
      else if (this.#fields.has(name)) {
        fail(new Problem("invalid_request", "A field of the form was sent more than once."));
      } else this.#fields.set(name, value);
    });
    parser.on("error", (cause) => fail(malformed({ cause })));
    for (const limit of ["partsLimit", "filesLimit", "fieldsLimit"] as const) {
      parser.on(limit, () => fail(new Problem("invalid_request", "The form has too many parts.")));
    }
  }

  async read(body: AsyncGenerator<Buffer>): Promise<Form<File>> {
    const failed = this.#failed.promise;
    const finished = once(this.#parser, "finish");
    finished.catch(() => undefined);
    try {
      for (;;) {
        const { done, value } = await Promise.race([body.next(), failed]);
        if (done) break;
        if (!this.#parser.write(value)) await Promise.race([once(this.#parser, "drain"), failed]);
      }
      this.#parser.end();
      await Promise.race([finished, failed]);
      const file = this.#file && (await this.#file);
      return { file, fileName: this.#fileName, fields: Object.fromEntries(this.#fields) };
    } catch (error) {
      this.#stream?.destroy(error instanceof Error ? error : undefined);
      await this.#file?.catch(() => undefined);
      throw error;
    }
  }

  #takeFile(name: string, stream: BusboyFileStream, fileName: string): void {
    if (name !== "file") {
      stream.resume();
      this.#failed.reject(new Problem("missing_file", "The file belongs into the form's field `file`."));
      return;
    }
    this.#stream = stream;
    // Whoever reads the content is told; when nobody does any more, the error is known already.
    stream.on("error", () => undefined);
    this.#fileName = fileName;
    this.#file = this.#keep(contentOf(stream));
    this.#file.catch((error: unknown) => this.#failed.reject(error));
  }
}

async function* contentOf(stream: BusboyFileStream): AsyncGenerator<Buffer> {
  const pieces: AsyncIterable<Buffer> = stream.iterator({ destroyOnReturn: false });
  try {
    yield* pieces;
  } catch (cause) {
    // The parser's own error, unless the stream was ended from here.
    throw cause instanceof Problem || cause instanceof ClientGone ? cause : malformed({ cause });
  }
}

function malformed(options: ErrorOptions): Problem {
  return new Problem("malformed_multipart", "The form is cut off or broken.", options);
}

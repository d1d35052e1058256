import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { buildEpub } from "@mythic/testing/books";
import { waitFor } from "@mythic/testing/wait";
import { bookSchema, wholeBookSchema } from "../src/wire/book.ts";
import { listSchema } from "../src/wire/shared.ts";
import { filesOf } from "./stored-files.ts";
import {
  makeReady,
  problemOf,
  startedRun,
  startTestApi,
  type TestApi,
  textBook,
  upload,
  uploadedBook,
} from "./test-api.ts";

const bookList = listSchema(bookSchema, "List");

describe("books", () => {
  let api: TestApi;
  beforeAll(async () => {
    api = await startTestApi({ config: { maxBookBytes: 100_000_000, uploadIdleMs: 1_500 } });
  });
  afterAll(() => api.close());

  const storedFiles = () => filesOf(api);

  test("an uploaded file becomes a book, which is being read", async () => {
    const response = await upload(api, textBook(1));
    expect(response.status).toBe(201);
    const book = bookSchema.parse(await response.json());
    expect(response.headers.get("location")).toBe(`/books/${book.id}`);
    expect(book).toMatchObject({ status: "stored", format: "text", file_name: "book.txt", chapter_count: 0 });
    expect(await api.store.steps.get("local", `${book.id}.parse`)).toMatchObject({ state: "pending" });
    const bytes = await Array.fromAsync(api.store.books.readBytes("local", book.id));
    expect(Buffer.concat(bytes).toString()).toBe(textBook(1));
  });

  test("the same bytes are the same book, whatever they are called, and are stored once", async () => {
    const first = await uploadedBook(api, {}, 2);
    const files = storedFiles();
    const again = await fetch(`${api.url}/books`, { method: "POST", body: textBook(2) });
    expect(again.status).toBe(200);
    expect(await again.json()).toMatchObject({ id: first.id, file_name: "book.txt" });
    expect(storedFiles()).toBe(files);
  });

  test("a raw body is a file as well, and its bytes decide what it is", async () => {
    const epub = await buildEpub({ title: "Raw", chapters: [{ title: "One", paragraphs: ["Some words."] }] });
    const response = await fetch(`${api.url}/books`, {
      method: "POST",
      body: new Uint8Array(epub),
      headers: {
        "content-type": "text/plain",
        "content-disposition": `attachment; filename="../../etc/passwd.pdf"; filename*=UTF-8''G%C3%A4nse.txt`,
      },
    });
    expect(response.status).toBe(201);
    expect(await response.json()).toMatchObject({ format: "epub", file_name: "Gänse.txt" });
  });

  test("a file name is never a path and never hides what it is", async () => {
    const names: readonly (readonly [string, unknown])[] = [
      ["..\\..\\evil.txt", "evil.txt"],
      ["a/b/c.txt", "c.txt"],
      ["..", null],
      ["invoice\u202Efdp.txt", "invoicefdp.txt"],
      ["x".repeat(400), "x".repeat(255)],
      ["海の鐘 – Gänse 🔔.txt", "海の鐘 – Gänse 🔔.txt"],
      ["a\r\nX-Evil: 1\u0000.txt", expect.not.stringMatching(/[\r\n\0]/)],
    ];
    for (const [at, [name, plain]] of names.entries()) {
      const form = new FormData();
      form.set("file", new Blob([textBook(100 + at)]), name);
      const response = await fetch(`${api.url}/books`, { method: "POST", body: form });
      expect(await response.json()).toMatchObject({ file_name: plain });
    }
  });

  test("a stream of 101 MB is cut at the limit and leaves nothing", async () => {
    const files = storedFiles();
    const piece = Buffer.alloc(1_000_000, "all work and no play makes a dull book. ");
    let sent = 0;
    const body = Readable.from(
      (async function* () {
        for (; sent < 101; sent++) yield piece;
      })(),
    );
    const request = httpRequest(`${api.url}/books`, { method: "POST" });
    request.on("error", () => undefined);
    const answered = once(request, "response");
    body.pipe(request);
    const [response] = await answered;
    expect(response.statusCode).toBe(413);
    expect(JSON.parse(Buffer.concat(await Array.fromAsync(response)).toString())).toMatchObject({
      code: "too_large",
    });
    expect(sent).toBeGreaterThan(90);
    request.destroy();
    await waitFor(() => storedFiles() === files, { what: "the bytes to be removed" });
  });

  test("a body that announces too many bytes is refused before they are sent", async () => {
    const request = httpRequest(`${api.url}/books`, {
      method: "POST",
      headers: { "content-length": "100000001" },
    });
    request.on("error", () => undefined);
    request.write("a");
    const [response] = await once(request, "response");
    expect(response.statusCode).toBe(413);
    request.destroy();
  });

  test("an upload that stands still ends with 408 and leaves nothing", async () => {
    const files = storedFiles();
    for (const headers of [
      { "content-type": "text/plain" },
      { "content-type": "multipart/form-data; boundary=B" },
    ]) {
      const request = httpRequest(`${api.url}/books`, { method: "POST", headers });
      request.on("error", () => undefined);
      request.write('--B\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n');
      request.write(textBook(3).repeat(200));
      const [response] = await once(request, "response");
      expect(response.statusCode).toBe(408);
      expect(JSON.parse(Buffer.concat(await Array.fromAsync(response)).toString())).toMatchObject({
        code: "upload_timeout",
      });
      request.destroy();
    }
    await waitFor(() => storedFiles() === files, { what: "the bytes to be removed" });
  });

  test("a client that goes away in mid-upload leaves nothing, and a line in the log", async () => {
    const files = storedFiles();
    const lines = api.log.length;
    const socket = connect(Number(new URL(api.url).port), "127.0.0.1");
    socket.write("POST /books HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90000\r\n\r\n");
    socket.write(textBook(4).repeat(100));
    await waitFor(() => storedFiles() > files, { what: "the first bytes to be stored" });
    socket.destroy();
    await waitFor(() => storedFiles() === files, { what: "the bytes to be removed" });
    const line = await waitFor(() => api.log.slice(lines).find((entry) => entry["msg"] === "request"));
    expect(line).toMatchObject({ method: "POST", path: "/books", status: 499 });
  });

  const BOUNDARY = "multipart/form-data; boundary=B";
  const part = (name: string, content: string) =>
    `--B\r\nContent-Disposition: form-data; name="${name}"; filename="a.txt"\r\n\r\n${content}`;
  test.each([
    ["an empty body", "", undefined, 400, "empty_file"],
    ["an empty file", `${part("file", "")}\r\n--B--\r\n`, BOUNDARY, 400, "empty_file"],
    ["a form that is cut off", part("file", textBook(5)), BOUNDARY, 400, "malformed_multipart"],
    ["a form without a boundary", "x", "multipart/form-data", 400, "malformed_multipart"],
    ["a form without a file", "--B--\r\n", BOUNDARY, 422, "missing_file"],
    ["a file in another field", `${part("book", textBook(6))}\r\n--B--\r\n`, BOUNDARY, 422, "missing_file"],
    ["a PDF", "%PDF-1.7\nwhatever it holds", "application/epub+zip", 415, "unsupported_format"],
    ["a picture", "\x89PNG\r\n\x1a\n\0\0", "text/plain", 415, "unsupported_format"],
  ])("%s is refused", async (_what, body, type, ...expected) => {
    const [status, code] = expected;
    const files = storedFiles();
    const headers = type === undefined ? {} : { "content-type": type };
    const response = await fetch(`${api.url}/books`, { method: "POST", body: Buffer.from(body), headers });
    expect(response.status).toBe(status);
    expect((await problemOf(response)).code).toBe(code);
    expect(storedFiles()).toBe(files);
  });

  test("a file of another format is answered with the list of those that can be read", async () => {
    const problem = await problemOf(await upload(api, "%PDF-1.7\n"));
    expect(problem["supported_formats"]).toContainEqual(
      expect.objectContaining({ format: "epub", extensions: [".epub"] }),
    );
  });

  test.each([
    ["whose client goes away", ""],
    ["that has too much behind it", "x".repeat(600_000)],
    ["that has a second one behind it", `${part("file", textBook(31))}\r\n--B--\r\n`],
    ["that stands still", null],
  ])("a file that is whole, in a form %s, is not kept", async (_what, rest) => {
    await using small = await startTestApi({ config: { maxBookBytes: 100_000, uploadIdleMs: 300 } });
    const files = () => filesOf(small);
    const request = httpRequest(`${small.url}/books`, {
      method: "POST",
      headers: { "content-type": BOUNDARY },
    });
    request.on("error", () => undefined);
    request.on("response", (response) => response.resume());
    request.write(`${part("file", textBook(30))}\r\n--B`);
    await waitFor(() => files() === 1, { what: "the file to be stored" });
    // The parser knows that the file is over, and the store has all of it.
    request.write('\r\nContent-Disposition: form-data; name="recipes"\r\n\r\nsummary\r\n--B');
    if (rest === "") request.destroy();
    else if (rest !== null) request.end(rest.startsWith("--B") ? rest.slice(3) : `--\r\n${rest}`);
    await waitFor(() => files() === 0, { what: "the file to be removed" });
    request.destroy();
  });

  test("a form that never ends is cut off", async () => {
    await using small = await startTestApi({ config: { maxBookBytes: 100_000 } });
    const body = Readable.from(
      (async function* () {
        yield `${part("file", textBook(9))}\r\n--B--\r\n`;
        for (let piece = 0; piece < 1_000; piece++) yield "x".repeat(10_000);
      })(),
    );
    const request = httpRequest(`${small.url}/books`, {
      method: "POST",
      headers: { "content-type": BOUNDARY },
    });
    request.on("error", () => undefined);
    body.pipe(request);
    const [response] = await once(request, "response");
    expect(response.statusCode).toBe(413);
    request.destroy();
    body.destroy();
  });

  test("two files in one form are refused, and neither is kept", async () => {
    const files = storedFiles();
    const body = `${part("file", textBook(7))}\r\n${part("file", textBook(8))}\r\n--B--\r\n`;
    const response = await fetch(`${api.url}/books`, {
      method: "POST",
      body,
      headers: { "content-type": BOUNDARY },
    });
    expect(response.status).toBe(422);
    expect(storedFiles()).toBe(files);
  });

  test("a compressed body is refused", async () => {
    const response = await fetch(`${api.url}/books`, {
      method: "POST",
      body: "x",
      headers: { "content-encoding": "gzip" },
    });
    expect((await problemOf(response)).code).toBe("unsupported_media_type");
  });

  test("a book shows its chapters once it was read", async () => {
    const { id } = await uploadedBook(api, {}, 10);
    const before = await fetch(`${api.url}/books/${id}`);
    expect(wholeBookSchema.parse(await before.json()).chapters).toEqual([]);
    await makeReady(api, "local", id, 2);
    const book = wholeBookSchema.parse(await (await fetch(`${api.url}/books/${id}`)).json());
    expect(book).toMatchObject({ status: "ready", title: "The Bell", language: "en", chapter_count: 2 });
    expect(book.chapters.map(({ title, index, kind }) => ({ title, index, kind }))).toEqual([
      { title: "Chapter 1", index: 0, kind: "body" },
      { title: "Chapter 2", index: 1, kind: "body" },
    ]);
  });

  test("a deleted book is gone at once and its runs are cancelled", async () => {
    const { id } = await uploadedBook(api, {}, 11);
    const run = await startedRun(api, id);
    expect((await fetch(`${api.url}/books/${id}`, { method: "DELETE" })).status).toBe(204);
    expect((await fetch(`${api.url}/books/${id}`)).status).toBe(404);
    expect((await fetch(`${api.url}/books/${id}`, { method: "DELETE" })).status).toBe(404);
    expect(await (await fetch(`${api.url}/status/${run.id}`)).json()).toMatchObject({ status: "cancelled" });
  });
});

describe("lists of books", () => {
  test("pages lead from the newest book to the oldest, each once", async () => {
    await using api = await startTestApi();
    const made: string[] = [];
    for (let number = 0; number < 5; number++) made.unshift((await uploadedBook(api, {}, number)).id);
    const seen: string[] = [];
    for (let path: string | null = "/books/my?limit=2"; path !== null; ) {
      const response: Response = await fetch(`${api.url}${path}`);
      const page = bookList.parse(await response.json());
      seen.push(...page.data.map((book) => book.id));
      const link = response.headers.get("link");
      expect(link !== null).toBe(page.has_more);
      expect(page.next !== null).toBe(page.has_more);
      path = link?.match(/^<([^>]+)>; rel="next"$/)?.[1] ?? null;
    }
    expect(seen).toEqual(made);
  });

  test.each(["limit=0", "limit=101", "limit=x", "limit=1&limit=2", "after=x", "after=run_1"])(
    "%s is no page",
    async (query) => {
      await using api = await startTestApi();
      const response = await fetch(`${api.url}/books/my?${query}`);
      expect(response.status).toBe(422);
      const { code, errors } = await problemOf(response);
      expect(code).toBe("invalid_request");
      expect(errors?.[0]?.parameter).toBe(query.split("=")[0]);
    },
  );
});

import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { problemSchema } from "../src/wire/shared.ts";
import { problemOf, startTestApi, type TestApi, upload } from "./test-api.ts";

const SECRET = "SECRET-8f2a";
/** What must never be in an answer: stacks, paths of this machine, pieces of the request. */
const LEAKS = new RegExp(`${SECRET}|node_modules|/work/|/src/|\\.ts:|    at |Error:|sqlite`, "i");

describe("whatever is wrong with a request", () => {
  let api: TestApi;
  beforeAll(async () => {
    api = await startTestApi();
  });
  afterAll(() => api.close());

  /** Sends bytes as they are and answers everything that comes back. */
  async function raw(text: string): Promise<string> {
    const socket = connect(Number(new URL(api.url).port), "127.0.0.1");
    socket.write(text);
    const pieces: Buffer[] = [];
    socket.on("data", (piece) => pieces.push(piece));
    await once(socket, "close");
    return Buffer.concat(pieces).toString();
  }

  const json = (body: string, type = "application/json") => ({
    method: "POST",
    body,
    headers: { "content-type": type },
  });

  test.each([
    ["an unknown address", `/nothing/${SECRET}`, {}, 404, "not_found"],
    ["an address that cannot be decoded", `/status/%ff${SECRET}`, {}, 404, "not_found"],
    ["an id that can be none", `/status/${SECRET}`, {}, 404, "not_found"],
    ["an unknown id", "/runs/run_00000000000000000000000000/result", {}, 404, "not_found"],
    ["an unknown file of the docs", `/docs/..%2f${SECRET}`, {}, 404, "not_found"],
    ["another method", "/books/my", { method: "PUT", body: SECRET }, 405, "method_not_allowed"],
    ["a preflight", "/runs", { method: "OPTIONS" }, 405, "method_not_allowed"],
    ["broken JSON", "/runs", json(`{"book_id":"${SECRET}`), 400, "malformed_json"],
    [
      "JSON that is no UTF-8",
      "/runs",
      { ...json(""), body: Buffer.from([0x22, 0xff, 0x22]) },
      400,
      "malformed_json",
    ],
    ["no body", "/runs", json(""), 400, "malformed_json"],
    ["another type of body", "/runs", json(SECRET, "text/xml"), 415, "unsupported_media_type"],
    ["an unknown field", "/runs", json(`{"book_id":"b","${SECRET}":1}`), 422, "invalid_request"],
    ["a value of another type", "/runs", json(`{"book_id":["${SECRET}"]}`), 422, "invalid_request"],
    ["an unknown recipe", "/runs", json(`{"book_id":"b","recipes":["${SECRET}"]}`), 422, "unknown_recipe"],
    ["a body that is too long", "/runs", json(`{"a":"${"x".repeat(70_000)}"}`), 413, "too_large"],
    ["a prototype", "/runs", json(`{"__proto__":{"book_id":"b"}}`), 422, "invalid_request"],
  ])("%s is answered with a problem that leaks nothing", async (_what, path, init, ...expected) => {
    const [status, code] = expected;
    const response = await fetch(`${api.url}${path}`, init);
    expect(response.status).toBe(status);
    const problem = await problemOf(response);
    expect(problem.code).toBe(code);
    expect(problem.request_id).toBe(response.headers.get("x-request-id"));
    expect(JSON.stringify(problem)).not.toMatch(LEAKS);
  });

  test("the methods that are allowed are named", async () => {
    const response = await fetch(`${api.url}/books/book_1`, { method: "PATCH" });
    expect(response.headers.get("allow")?.split(", ").sort()).toEqual(["DELETE", "GET", "HEAD"]);
  });

  test("HEAD answers as GET does, without the body", async () => {
    const response = await fetch(`${api.url}/books/my`, { method: "HEAD" });
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("application/json; charset=utf-8");
  });

  test.each([
    ["no HTTP at all", `${SECRET}\r\n\r\n`, 400, "malformed_request"],
    ["a header without a name", `GET / HTTP/1.1\r\n: ${SECRET}\r\n\r\n`, 400, "malformed_request"],
    ["no Host", "GET /books/my HTTP/1.1\r\nConnection: close\r\n\r\n", 400, "malformed_request"],
    [
      "two lengths",
      "POST /runs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na",
      400,
      "malformed_request",
    ],
    [
      "headers beyond the limit",
      `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${"a".repeat(17_000)}\r\n\r\n`,
      431,
      "headers_too_large",
    ],
    [
      "an expectation",
      "GET / HTTP/1.1\r\nHost: localhost\r\nExpect: the-moon\r\nConnection: close\r\n\r\n",
      417,
      "expectation_failed",
    ],
  ])("%s is answered with a problem, too", async (_what, text, status, code) => {
    const answer = await raw(text);
    const [head = "", body = ""] = answer.split("\r\n\r\n");
    expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(head.toLowerCase()).toContain("content-type: application/problem+json");
    const problem = problemSchema.parse(JSON.parse(body));
    expect(problem).toMatchObject({ status, code });
    expect(head.toLowerCase()).toContain(`x-request-id: ${problem.request_id}`);
    expect(answer).not.toMatch(LEAKS);
  });

  test("a request id that fits is kept, any other is replaced", async () => {
    const idFor = async (id: string) => {
      const response = await fetch(`${api.url}/health/live`, { headers: { "x-request-id": id } });
      return response.headers.get("x-request-id");
    };
    expect(await idFor("abc.DEF-1_2")).toBe("abc.DEF-1_2");
    for (const wrong of ["", "a b", "x".repeat(65), "a/b", "a;b"]) {
      expect(await idFor(wrong)).toMatch(/^[0-9a-f-]{36}$/);
    }
  });

  test("every answer carries the headers that browsers are told by", async () => {
    for (const path of ["/books/my", "/nothing", "/health/live", "/docs", "/openapi.json", "/admin/queues"]) {
      const { headers } = await fetch(`${api.url}${path}`);
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
      expect(headers.get("referrer-policy")).toBe("no-referrer");
      expect(headers.get("access-control-allow-origin")).toBeNull();
      expect(headers.get("x-powered-by")).toBeNull();
    }
  });

  test("each request has a line in the log, with what it was about", async () => {
    const id = `test-${Date.now()}`;
    const response = await upload(api, "A book for the log.", { "x-request-id": id });
    const book: unknown = await response.json();
    const line = api.log.find((entry) => entry["req_id"] === id);
    expect(line).toMatchObject({
      msg: "request",
      method: "POST",
      path: "/books",
      status: 201,
      user: "local",
    });
    expect(book).toMatchObject({ id: line?.["book_id"] });
    expect(line?.["ms"]).toEqual(expect.any(Number));
  });
});

test("an error that nobody foresaw is answered without its words, and logged with them", async () => {
  await using api = await startTestApi();
  // A programming error, as it might happen.
  Object.defineProperty(api.store.runs, "list", {
    value: () => Promise.reject(new TypeError(`${SECRET} is not a function`)),
  });
  const response = await fetch(`${api.url}/runs`);
  expect(response.status).toBe(500);
  const text = JSON.stringify(await problemOf(response));
  expect(text).toContain("internal_error");
  expect(text).not.toMatch(LEAKS);
  expect(JSON.stringify(api.log)).toContain(SECRET);
});

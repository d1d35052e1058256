import { connect } from "node:net";
import { text as readAll } from "node:stream/consumers";
import { describe, expect, test } from "@jest/globals";
import OpenAI, {
  AuthenticationError,
  BadRequestError,
  InternalServerError,
  NotFoundError,
  RateLimitError,
} from "openai";
import { NO_POLICIES } from "../src/policies.ts";
import { type AnsweringApi, SET_UPS, startAnsweringApi } from "./answering-api.ts";
import { ask, refused, usageOf } from "./threads/ask.ts";

describe.each(SET_UPS)("an error of the chat completions over %s", (setUp) => {
  test("of the caller's key is 401, without a word of the key", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    await answering.client();
    const apiKey = `myth_live_${"x".repeat(40)}`;
    const stranger = new OpenAI({ apiKey, baseURL: `${answering.api.url}/v1`, maxRetries: 0 });
    for (const asking of [ask(stranger, "Hello?"), Array.fromAsync(stranger.models.list())]) {
      const error = await refused(asking);
      expect(error).toBeInstanceOf(AuthenticationError);
      expect([error.code, error.type]).toEqual(["invalid_api_key", "authentication_error"]);
      expect(JSON.stringify(error)).not.toContain(apiKey);
    }
    const keyless = await sendRaw(answering, "{}", { authorization: "" });
    expect([keyless.status, keyless.error.code]).toEqual([401, "unauthorized"]);
    expect(answering.fake.calls()).toHaveLength(0);
  });

  test.each([
    ["{", "malformed_json", null],
    ["[]", "invalid_request", ""],
    ['{"messages":[{"role":"user","content":"Hi"}]}', "invalid_request", "model"],
    ['{"model":"gpt-5-mini"}', "invalid_request", "messages"],
    ['{"model":"gpt-5-mini","messages":[]}', "invalid_request", "messages"],
    ['{"model":"gpt-5-mini","messages":[{}],"stream":"yes"}', "invalid_request", "stream"],
  ])("of a body that is none says which field it is: %s", async (body, code, param) => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const { status, error } = await sendRaw(answering, body);
    expect([status, error.type, error.code, error.param]).toEqual([
      400,
      "invalid_request_error",
      code,
      param,
    ]);
    expect(error.message).toEqual(expect.any(String));
    expect(answering.fake.calls()).toHaveLength(0);
  });

  test("of a body that is nested too deep to be sent is 400, and costs nothing", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    for (const field of ["x", "messages"]) {
      const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
      const rest = field === "messages" ? "" : ',"messages":[{"role":"user","content":"Hi"}]';
      const body = `{"model":"gpt-5-mini","temperature":0${rest},"${field}":${deep}}`;
      const { status, error } = await sendRaw(answering, body);
      expect([field, status, error.code]).toEqual([field, 400, "model_rejected_request"]);
    }
    const { spent } = await usageOf(answering.api, "ada");
    expect([spent.calls, answering.fake.calls().length]).toEqual([0, 0]);
  });

  test("of a body of another type or an address that is none keeps to the shape", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const form = await sendRaw(answering, "model=gpt-5-mini", {
      "content-type": "application/x-www-form-urlencoded",
    });
    expect([form.status, form.error.code]).toEqual([415, "unsupported_media_type"]);
    const client = await answering.client();
    const error = await refused(client.embeddings.create({ model: "gpt-5-mini", input: "Hi" }));
    expect(error).toBeInstanceOf(NotFoundError);
    expect([error.code, error.type]).toEqual(["not_found", "invalid_request_error"]);
  });

  test("of a body that is too large is 413, before the rest of it is read", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const content = "x".repeat(17 * 1_048_576);
    const { status, error } = await sendRaw(answering, JSON.stringify({ content }));
    expect([status, error.code, error.type]).toEqual([413, "too_large", "invalid_request_error"]);
    expect(answering.fake.calls()).toHaveLength(0);
  });

  test("of headers that are too large is 431", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const { hostname, port } = new URL(answering.api.url);
    const socket = connect({ host: hostname, port: Number(port) });
    socket.write(`POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-long: ${"x".repeat(40_000)}\r\n\r\n`);
    expect(await readAll(socket)).toMatch(/^HTTP\/1\.1 431 /);
  });

  test.each([
    { status: 400, code: "unsupported_parameter", error: BadRequestError, shown: 400 },
    { status: 404, code: "model_not_found", error: NotFoundError, shown: 404 },
    { status: 429, code: "rate_limit_exceeded", error: RateLimitError, shown: 429 },
    { status: 500, code: "broken", error: InternalServerError, shown: 500 },
    { status: 503, code: "overloaded", error: InternalServerError, shown: 503 },
  ])("of the endpoint is told as it was: $status", async ({ status, code, error: Expected, shown }) => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const does = { kind: "status", status, code, message: "As the endpoint says it." } as const;
    answering.fake.script({ does: { ...does, headers: { "retry-after": "7" } } });
    const error = await refused(ask(await answering.client(), "Hello?"));
    expect(error).toBeInstanceOf(Expected);
    expect([error.status, error.code]).toEqual([shown, code]);
    expect(error.message).toContain("As the endpoint says it.");
    if (status === 429) {
      expect(Number(error.headers?.get("retry-after"))).toBe(7);
      expect(error.type).toBe("rate_limit_exceeded");
    }
  });

  test("of our own key at the endpoint is none of the caller's key, and shows nothing of it", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    answering.fake.script({ does: { kind: "status", status: 401, message: "Incorrect API key: up-secret" } });
    const error = await refused(ask(await answering.client(), "Hello?"));
    expect([error.status, error.code, error.type]).toEqual([502, "model_unauthorised", "server_error"]);
    expect(error.message).not.toContain("up-secret");
  });

  test("of an endpoint that answers with something else than a completion is 502", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    answering.fake.script({ does: { kind: "garbage", body: "<h1>It works!</h1>" } });
    const error = await refused(ask(await answering.client(), "Hello?"));
    expect([error.status, error.code, error.type]).toEqual([502, "model_invalid_answer", "server_error"]);
  });

  test("of the endpoint's limit is 429 for all who ask for the model until it is over, and they send nothing", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const does = { kind: "status", status: 429, headers: { "retry-after": "30" } } as const;
    answering.fake.script({ times: 1, does });
    const [ada, bob] = [await answering.client("ada"), await answering.client("bob")];
    await refused(ask(ada, "One."));
    const error = await refused(ask(bob, "Two."));
    expect(error).toBeInstanceOf(RateLimitError);
    expect([error.code, error.type]).toEqual(["rate_limit_exceeded", "rate_limit_error"]);
    const seconds = Number(error.headers?.get("retry-after"));
    expect(seconds).toBeGreaterThan(20);
    expect(seconds).toBeLessThanOrEqual(31);
    expect(Number(error.headers?.get("retry-after-ms")) / 1_000).toBeCloseTo(seconds, -1);
    expect(answering.fake.calls()).toHaveLength(1);
  });

  test("of the caller's own limit is 429 with the time to wait", async () => {
    const policies = { ...NO_POLICIES, completions: { limit: 2, periodMs: 3_600_000 } };
    await using answering = await startAnsweringApi(setUp, { config: { policies } });
    if (answering === null) return;
    const client = await answering.client();
    for (const prompt of ["One.", "Two."]) await ask(client, prompt);
    const error = await refused(ask(client, "Three."));
    expect(error).toBeInstanceOf(RateLimitError);
    expect([error.code, error.type]).toEqual(["rate_limit_exceeded", "rate_limit_error"]);
    expect(Number(error.headers?.get("retry-after"))).toBeGreaterThan(0);
    expect(error.headers?.get("ratelimit")).toEqual(expect.any(String));
    expect((await ask(await answering.client("bob"), "Three.")).cache).toBe("miss");
  });

  test("of a day's means that are used up is 429, which is not tried again", async () => {
    const models = { userLimits: { tokensPerDay: 1, costPerDay: null } };
    await using answering = await startAnsweringApi(setUp, { models });
    if (answering === null) return;
    const client = await answering.client();
    const first = await ask(client, "One.").catch((error: unknown) => error);
    const error = first instanceof RateLimitError ? first : await refused(ask(client, "Two."));
    expect(error).toBeInstanceOf(RateLimitError);
    expect(error.code).toBe("rate_limit_exceeded");
    expect(answering.fake.calls().length).toBeLessThanOrEqual(1);
  });

  test("that the request is to blame for is not asked for again for a while", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const does = { kind: "status", status: 400, code: "context_length_exceeded" } as const;
    answering.fake.script({ does });
    const client = await answering.client();
    for (const _ of [1, 2, 3]) {
      const error = await refused(ask(client, "Far too long."));
      expect(error).toBeInstanceOf(BadRequestError);
      expect(error.code).toBe("context_length_exceeded");
      expect(error.headers?.get("x-should-retry")).toBe("false");
    }
    expect(answering.fake.calls()).toHaveLength(1);
  });
});

test("a body that stops arriving is 408 after ten seconds, in the same shape", async () => {
  await using answering = await startAnsweringApi("SQLite alone");
  if (answering === null) return;
  const { authorization } = await answering.api.key("ada");
  const { hostname, port } = new URL(answering.api.url);
  const socket = connect({ host: hostname, port: Number(port) });
  const head = ["POST /v1/chat/completions HTTP/1.1", `host: ${hostname}`, `authorization: ${authorization}`];
  const rest = ["content-type: application/json", "content-length: 1000", "", '{"model":'];
  socket.write([...head, ...rest].join("\r\n"));
  const text = await readAll(socket);
  expect(text).toMatch(/^HTTP\/1\.1 408 /);
  expect(JSON.parse(text.slice(text.indexOf("{")))).toMatchObject({
    error: { code: "request_timeout", type: "invalid_request_error" },
  });
});

interface ErrorBody {
  readonly message: string;
  readonly type: string;
  readonly param: string | null;
  readonly code: string;
}

async function sendRaw(
  { api }: AnsweringApi,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ readonly status: number; readonly error: ErrorBody }> {
  const { authorization } = await api.key("ada");
  const response = await fetch(`${api.url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization, "content-type": "application/json", ...headers },
    body,
  });
  const { error } = (await response.json()) as { readonly error: ErrorBody };
  expect(Object.keys(error).sort()).toEqual(["code", "message", "param", "type"]);
  return { status: response.status, error };
}

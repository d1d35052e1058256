import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { text as readAll } from "node:stream/consumers";
import { describe, expect, test } from "@jest/globals";
import { waitFor } from "@mythic/testing/wait";
import type OpenAI from "openai";
import { type AnsweringApi, SET_UPS, startAnsweringApi } from "./answering-api.ts";
import { ask, askStreamed, refused } from "./threads/ask.ts";

const LONG = "The keeper lit the lamp. ".repeat(20);

describe.each(SET_UPS)("a streamed completion over %s", (setUp) => {
  test("arrives as it is made, before its end", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const { fake } = answering;
    fake.script({ chunkMs: 40, does: { kind: "answer", content: LONG } });
    const client = await answering.client();
    const { data } = await client.chat.completions.create(streamed("Tell me.")).withResponse();
    const outcomes: string[] = [];
    let text = "";
    for await (const chunk of data) {
      text += chunk.choices[0]?.delta.content ?? "";
      outcomes.push(fake.calls()[0]?.outcome ?? "none");
    }
    expect(text).toBe(LONG);
    // Most of them were here while the endpoint was still at work.
    expect(outcomes.filter((outcome) => outcome === "open").length).toBeGreaterThan(outcomes.length / 2);
  });

  test("is told again as a whole stream, with its usage where that is asked for", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const content = `${"🜁 light ".repeat(400)}end`;
    answering.fake.script({ cachedTokens: 0, does: { kind: "answer", content } });
    const client = await answering.client();
    const first = await askStreamed(client, "Tell me.");
    const again = await askStreamed(client, "Tell me.");
    expect([first.cache, again.cache]).toEqual(["miss", "hit"]);
    expect([first.text, again.text]).toEqual([content, content]);
    const usage = first.chunks.at(-1)?.usage;
    expect(usage).toMatchObject({ prompt_tokens: 2, prompt_tokens_details: { cached_tokens: 0 } });
    expect(again.chunks.at(-1)).toMatchObject({ choices: [], usage });
    expect(new Set(again.chunks.map(({ id }) => id))).toEqual(new Set([first.chunks[0]?.id]));
    for (const { chunks } of [first, again]) {
      expect(chunks[0]?.choices[0]?.delta).toEqual({ role: "assistant", content: "" });
      expect(chunks.at(-2)?.choices[0]).toMatchObject({ delta: {}, finish_reason: "stop" });
      expect(new Set(chunks.map(({ object }) => object))).toEqual(new Set(["chat.completion.chunk"]));
      // All but the last say that it is to come.
      expect(chunks.slice(0, -1).map(({ usage: told }) => told)).toEqual(chunks.slice(1).map(() => null));
    }
    expect(answering.fake.calls()).toHaveLength(1);
  });

  test.each([undefined, { include_usage: false }])(
    "has no usage where it is not asked for: %j",
    async (options) => {
      await using answering = await startAnsweringApi(setUp);
      if (answering === null) return;
      const client = await answering.client();
      for (const _ of ["from the endpoint", "from the cache"]) {
        const body = { ...streamed("Tell me."), ...(options && { stream_options: options }) };
        const chunks = await Array.fromAsync(await client.chat.completions.create(body));
        expect(chunks.filter((chunk) => "usage" in chunk)).toEqual([]);
        expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe("stop");
      }
      expect(answering.fake.calls()).toHaveLength(1);
    },
  );

  test("keeps to the wire format to its last line, and tells what it cost at its end", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const first = await rawStream(answering, streamed("Tell me."));
    const second = await rawStream(answering, streamed("Tell me."));
    const { prompt_tokens: input, completion_tokens: output } = usageIn(second.text);
    const cost = String(input * 250 + output * 2_000);
    for (const { text, headers } of [first, second]) {
      expect(headers["content-type"]).toBe("text/event-stream; charset=utf-8");
      expect(headers["cache-control"]).toBe("no-store");
      expect(headers["x-request-id"]).toEqual(expect.any(String));
      const lines = text.split("\n\n");
      expect(lines.slice(-2)).toEqual(["data: [DONE]", ""]);
      for (const line of lines.slice(0, -2)) expect(JSON.parse(line.replace(/^data: /, ""))).toBeTruthy();
    }
    expect(first.headers).toMatchObject({
      "x-mythic-cache": "miss",
      "x-mythic-cache-age": "0",
      "x-mythic-cache-tier": "leader",
      "x-mythic-cache-key": expect.stringMatching(/^v1\./),
    });
    expect(first.trailers).toEqual({ "x-mythic-cost": cost, "x-mythic-saved": "0" });
    expect(second.headers).toMatchObject({
      "x-mythic-cache": "hit",
      "x-mythic-cache-age": expect.stringMatching(/^\d$/),
      "x-mythic-cache-tier": expect.stringMatching(/^(?:l1|redis)$/),
      "x-mythic-cache-key": first.headers["x-mythic-cache-key"],
      "x-mythic-cost": "0",
      "x-mythic-saved": cost,
    });
    expect(second.trailers).toEqual({});
  });

  test("comes to clients of HTTP/1.0, too, which know no end but that of the connection", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const { hostname, port } = new URL(answering.api.url);
    const { authorization } = await answering.api.key("ada");
    for (const cache of ["miss", "hit"]) {
      const body = JSON.stringify(streamed("Tell me."));
      const socket = connect({ host: hostname, port: Number(port) });
      socket.write(
        [
          "POST /v1/chat/completions HTTP/1.0",
          `host: ${hostname}`,
          `authorization: ${authorization}`,
          "content-type: application/json",
          `content-length: ${body.length}`,
          "",
          body,
        ].join("\r\n"),
      );
      const text = await readAll(socket);
      expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
      expect(text).toContain(`\r\nx-mythic-cache: ${cache}\r\n`);
      expect(text).toMatch(/data: \[DONE\]\n\n$/);
    }
  });

  test("says bypass where the cache is", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const client = await answering.client();
    const headers = { "cache-control": "no-store" };
    expect((await askStreamed(client, "Tell me.", { headers })).cache).toBe("bypass");
    expect((await askStreamed(client, "Tell me.", { headers })).cache).toBe("bypass");
    const missing = await refused(
      askStreamed(client, "Tell me.", { headers: { "cache-control": "only-if-cached" } }),
    );
    expect([missing.status, missing.code]).toEqual([504, "answer_not_cached"]);
  });

  test("that fails before its first word is an error, and after it an event that says so", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const { fake } = answering;
    fake.script({ match: "early", does: { kind: "cut", after: "headers" } });
    fake.script({ match: "late", chunkMs: 5, does: { kind: "cut", after: 1_500 } });
    const client = await answering.client();
    const early = await refused(askStreamed(client, "Break early."));
    expect([early.status, early.code, early.type]).toEqual([502, "model_unavailable", "server_error"]);

    const seen: string[] = [];
    const late = await refused(
      (async () => {
        for await (const chunk of await client.chat.completions.create(streamed("Break late."))) {
          seen.push(chunk.choices[0]?.delta.content ?? "");
        }
      })(),
    );
    expect(seen.join("").length).toBeGreaterThan(0);
    expect([late.code, late.type]).toEqual(["model_unavailable", "server_error"]);
    const { text } = await rawStream(answering, streamed("Break late."));
    expect(text).not.toContain("[DONE]");
    expect(text.trimEnd().split("\n\n").at(-1)).toMatch(/^data: \{"error":\{"message":/);
    // Nothing of it was kept.
    expect(fake.calls()).toHaveLength(3);
    const line = answering.api.log.find(({ msg, code }) => msg === "request" && code === "model_unavailable");
    expect(line).toBeDefined();
  });

  test("with an error of the endpoint in its midst ends with that error", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const chunk = { id: "c", model: "gpt-5-mini", choices: [{ index: 0, delta: { content: "One" } }] };
    const error = { error: { message: "The engine broke.", type: "server_error", code: "broken" } };
    const body = `data: ${JSON.stringify(chunk)}\n\ndata: ${JSON.stringify(error)}\n\n`;
    answering.fake.script({ does: { kind: "garbage", body, contentType: "text/event-stream" } });
    const late = await refused(askStreamed(await answering.client(), "Break."));
    expect([late.code, late.type]).toEqual(["model_unavailable", "server_error"]);
  });

  test("waits for a slow model for longer than a connection may stand still", async () => {
    await using answering = await startAnsweringApi(setUp, {
      config: { connectionIdleMs: 150, slowRequestMs: 1_500 },
    });
    if (answering === null) return;
    answering.fake.script({ latencyMs: 1_800 });
    const client = await answering.client();
    const plain = await ask(client, "Slowly.");
    expect(plain.cache).toBe("miss");
    expect((await askStreamed(client, "Slowly, too.")).cache).toBe("miss");
    // And that is no slowness of this process.
    const lines = answering.api.log.filter(({ path }) => path === "/v1/chat/completions");
    expect(lines.map(({ msg, status }) => [msg, status])).toEqual([
      ["request", 200],
      ["request", 200],
    ]);
  });

  test("waits for a model that stops in mid-answer for longer than a connection may stand still", async () => {
    await using answering = await startAnsweringApi(setUp, { config: { connectionIdleMs: 150 } });
    if (answering === null) return;
    answering.fake.script({ chunkMs: 400, does: { kind: "answer", content: "The lamp is lit." } });
    const { text } = await askStreamed(await answering.client(), "Haltingly.");
    expect(text).toBe("The lamp is lit.");
  });

  test("whose reader takes nothing is let go", async () => {
    await using answering = await startAnsweringApi(setUp, { config: { connectionIdleMs: 150 } });
    if (answering === null) return;
    // More than the buffers of both sides hold.
    const content = "A long, long tale. ".repeat(100_000);
    // Until then the connection has stood still for long enough once, through no fault of the reader.
    answering.fake.script({ latencyMs: 400, does: { kind: "answer", content } });
    const { response } = await openRaw(answering, streamed("At length."));
    response.on("error", () => undefined);
    response.pause();
    const line = await waitFor(() => answering.api.log.find(({ path }) => path === "/v1/chat/completions"));
    expect(line).toMatchObject({ status: 499 });
    response.destroy();
  });

  test("whose reader is slow comes whole", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const content = "A long, long tale. ".repeat(100_000);
    answering.fake.script({ does: { kind: "answer", content } });
    await ask(await answering.client(), "At length.");
    const { response } = await openRaw(answering, streamed("At length."));
    response.pause();
    await waitFor(() => response.readableLength > 0 || response.socket.bytesRead > 10_000);
    let text = "";
    for await (const piece of response.setEncoding("utf8")) text += String(piece);
    const words = [...text.matchAll(/^data: (\{.*\})$/gm)].map(
      ([, json = ""]) => (JSON.parse(json) as OpenAI.ChatCompletionChunk).choices[0]?.delta.content ?? "",
    );
    expect(words.join("")).toBe(content);
  });
});

function streamed(content: string) {
  const messages = [{ role: "user" as const, content }];
  return { model: "gpt-5-mini", temperature: 0, messages, stream: true as const };
}

async function openRaw({ api }: AnsweringApi, body: object): Promise<{ readonly response: IncomingMessage }> {
  const { authorization } = await api.key("ada");
  const headers = { authorization, "content-type": "application/json" };
  const sent = httpRequest(`${api.url}/v1/chat/completions`, { method: "POST", headers });
  sent.end(JSON.stringify({ ...body, stream_options: { include_usage: true } }));
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  return { response };
}

async function rawStream(answering: AnsweringApi, body: object) {
  const { response } = await openRaw(answering, body);
  let text = "";
  for await (const piece of response.setEncoding("utf8")) text += String(piece);
  return { text, headers: response.headers, trailers: response.trailers };
}

function usageIn(text: string): OpenAI.CompletionUsage {
  const [, json = "null"] = /^data: (\{.*"choices":\[\].*\})$/m.exec(text) ?? [];
  return (JSON.parse(json) as OpenAI.ChatCompletionChunk).usage as OpenAI.CompletionUsage;
}

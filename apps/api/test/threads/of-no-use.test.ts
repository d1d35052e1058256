import { describe, expect, test } from "@jest/globals";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { SET_UPS, startAnsweringApi } from "../answering-api.ts";
import { ask, askStreamed, refused } from "./ask.ts";
import { askStep, openStepModel } from "./step-model.ts";

const card = zodResponseFormat(z.object({ name: z.string() }), "card");

describe.each(SET_UPS)("over %s", (setUp) => {
  test("an error is told as it is, and asked for again the next time [T35 Portkey]", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const { fake } = answering;
    const client = await answering.client();
    for (const [index, status] of [500, 503, 408, 409].entries()) {
      fake.script({ times: 1, match: `Try ${status}`, does: { kind: "status", status } });
      const asking = index % 2 === 0 ? ask : askStreamed;
      const error = await refused(asking(client, `Try ${status}.`));
      expect(error.status).toBe(status);
      expect((await asking(client, `Try ${status}.`)).cache).toBe("miss");
      expect((await asking(client, `Try ${status}.`)).cache).toBe("hit");
    }
    expect(fake.calls()).toHaveLength(8);
  });

  test("an answer in a format is kept, for that format [T38 langchainjs#3686]", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const client = await answering.client();
    const formats = [
      undefined,
      { type: "json_object" as const },
      card,
      // Of the same name.
      zodResponseFormat(z.object({ title: z.string() }), "card"),
    ];
    const texts = [];
    for (const format of formats) {
      const wishes = format ? { response_format: format } : {};
      const first = await ask(client, "Who is it?", wishes);
      const second = await ask(client, "Who is it?", wishes);
      expect([first.cache, second.cache, second.text]).toEqual(["miss", "hit", first.text]);
      texts.push(first.text);
    }
    expect(new Set(texts).size).toBe(formats.length);
  });

  test("what does not fit its schema is an error, and is not there the next time [T41 vercel/ai#9594]", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const { fake } = answering;
    fake.script({ times: 1, does: { kind: "invalid_schema" } });
    fake.script({ times: 1, does: { kind: "invalid_json" } });
    fake.script({ times: 1, does: { kind: "invalid_schema" } });
    const client = await answering.client();
    for (const asking of [ask, ask, askStreamed]) {
      const error = await refused(asking(client, "Who is it?", { response_format: card }));
      expect(error.code).toBe("model_invalid_answer");
      const kept = ask(client, "Who is it?", {
        response_format: card,
        headers: { "cache-control": "only-if-cached" },
      });
      expect((await refused(kept)).code).toBe("answer_not_cached");
    }
    const good = await ask(client, "Who is it?", { response_format: card });
    expect([good.cache, Object.keys(JSON.parse(good.text ?? ""))]).toEqual(["miss", ["name"]]);
    expect((await ask(client, "Who is it?", { response_format: card })).text).toBe(good.text);
    expect(fake.calls()).toHaveLength(4);
  });

  test("what was cut off, refused, filtered or empty is given to who asked, and to nobody else [T42 OmniRoute#12885 LightRAG#3446 LightRAG#3803 LightRAG#3883]", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const { fake } = answering;
    const client = await answering.client();
    const finish = { truncate: "length", filter: "content_filter", refuse: "stop", empty: "stop" } as const;
    for (const kind of ["truncate", "filter", "refuse", "empty"] as const) {
      for (const asking of [ask, askStreamed]) {
        const prompt = `${kind} ${asking.name}`;
        const script = fake.script({ match: prompt, does: { kind } });
        const first = await asking(client, prompt);
        script.remove();
        const finished =
          "completion" in first
            ? first.completion.choices[0]?.finish_reason
            : first.chunks.at(-2)?.choices[0]?.finish_reason;
        expect([prompt, first.cache, finished]).toEqual([prompt, "miss", finish[kind]]);
        const second = await asking(client, prompt);
        expect([prompt, second.cache]).toEqual([prompt, "miss"]);
        expect(second.text).not.toBe(first.text);
        expect((await asking(client, prompt)).text).toBe(second.text);
      }
    }
    // A limit of tokens that was too low is another request once it is raised.
    const short = await ask(client, "At length.", { max_tokens: 3 });
    expect(short.completion.choices[0]?.finish_reason).toBe("length");
    const whole = await ask(client, "At length.", { max_tokens: 3_000 });
    expect(whole.text?.startsWith(short.text ?? "")).toBe(true);
    expect(whole.text).not.toBe(short.text);
  });

  test("a retry after an answer of no use is not served by that answer, and puts another in its place [T42 tinyagents#57]", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const { fake } = answering;
    fake.script({ times: 1, match: "Client.", does: { kind: "answer", content: "of no use" } });
    fake.script({ match: "Client.", does: { kind: "answer", content: "good" } });
    const client = await answering.client();
    // The caller alone can tell, and says so.
    expect((await ask(client, "Client.")).text).toBe("of no use");
    expect((await ask(client, "Client.", { headers: { "cache-control": "no-cache" } })).text).toBe("good");
    expect((await ask(client, "Client.")).text).toBe("good");

    // What a step can tell, it need not say.
    const word = { content: (text: string) => JSON.stringify({ word: text }) };
    fake.script({ times: 1, match: "Step.", does: { kind: "answer", content: word.content("") } });
    fake.script({ match: "Step.", does: { kind: "answer", content: word.content("good") } });
    await using steps = await openStepModel(answering);
    const question = { input: "Step.", schema: z.object({ word: z.string().min(1) }) };
    await expect(askStep(steps, question)).rejects.toMatchObject({ code: "model_invalid_answer" });
    expect(await askStep(steps, question)).toEqual({ word: "good" });
    expect(await askStep(steps, question)).toEqual({ word: "good" });
    expect(fake.calls().map(({ request }) => request.userMessage)).toEqual([
      ...["Client.", "Client."],
      ...["Step.", "Step."],
    ]);
  });
});

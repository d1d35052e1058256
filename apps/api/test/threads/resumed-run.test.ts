import { describe, expect, test } from "@jest/globals";
import { z } from "zod";
import { SET_UPS, startAnsweringApi } from "../answering-api.ts";
import { ask, refused, usageOf } from "./ask.ts";
import { askStep, openStepModel } from "./step-model.ts";

const schema = z.object({ points: z.array(z.string()) });
const CHAPTERS = ["One.", "Two, two.", "Three, three, three.", "Four, four, four, four."];

/** Nano-dollars. */
const BUDGET = 100_000;

describe.each(SET_UPS)("over %s", (setUp) => {
  test.each([
    { name: "in the same process", isColdStart: false },
    { name: "with nothing left but the store", isColdStart: true },
  ])(
    "a run that is resumed after a change asks only what changed, $name [T48 distilabel#588]",
    async ({ isColdStart }) => {
      await using answering = await startAnsweringApi(setUp);
      if (answering === null) return;
      const { fake } = answering;
      const ended: unknown[] = [];
      {
        await using before = await openStepModel(answering);
        for (const input of CHAPTERS) ended.push(await askStep(before, { input, schema }));
        // And once more for the whole.
        ended.push(await askStep(before, { input: "All.", schema, prompt: "merge", schemaName: "whole" }));
      }
      expect(fake.calls()).toHaveLength(5);
      await using after = await openStepModel(answering, { isColdStart });
      // The same schema, written in another way by a newer program.
      const { points } = schema.shape;
      const again = [];
      for (const input of CHAPTERS) again.push(await askStep(after, { schema: z.object({ points }), input }));
      expect(again).toEqual(ended.slice(0, 4));
      expect(fake.calls()).toHaveLength(5);
      // The prompt of the merge did change.
      const changed = { instructions: "Answer in JSON, briefly.", prompt: "merge", schemaName: "whole" };
      await askStep(after, { input: "All.", schema, ...changed });
      expect(fake.calls()).toHaveLength(6);
      await askStep(after, { input: "All.", schema, prompt: "merge", schemaName: "whole" });
      expect(fake.calls()).toHaveLength(6);
    },
  );

  test("more cached tokens than there are cost something all the same, and use up the budget [T49 headroom#2757]", async () => {
    const models = { userLimits: { tokensPerDay: null, costPerDay: BUDGET } };
    await using answering = await startAnsweringApi(setUp, { models });
    if (answering === null) return;
    const { api, fake } = answering;
    const usage = {
      prompt_tokens: 10,
      completion_tokens: 5,
      total_tokens: 15,
      prompt_tokens_details: { cached_tokens: 1_000_000 },
    };
    const message = { role: "assistant", content: "Well." };
    const choices = [{ index: 0, message, finish_reason: "stop" }];
    const body = JSON.stringify({ id: "c", model: "gpt-5-mini", choices, usage });
    fake.script({ does: { kind: "garbage", contentType: "application/json", body } });
    const client = await answering.client();
    // Ten tokens of cached input and five of output.
    const cost = 10 * 25 + 5 * 2_000;
    let answered = 0;
    const askOn = async () => {
      for (; answered < 20; answered += 1) {
        const { headers } = await ask(client, `Question ${answered}?`, { max_tokens: 5 });
        expect(headers.get("x-mythic-cost")).toBe(String(cost));
      }
    };
    const error = await refused(askOn());
    expect([error.status, error.code]).toEqual([429, "rate_limit_exceeded"]);
    expect(answered).toBeGreaterThanOrEqual(2);
    expect(answered * cost).toBeLessThanOrEqual(1.1 * BUDGET);
    expect(fake.calls()).toHaveLength(answered);
    const { spent, saved } = await usageOf(api, "ada");
    expect([spent.calls, spent.cost]).toEqual([answered, answered * cost]);
    expect(saved.provider_prompt_cache.cost).toBe(answered * 10 * (250 - 25));
  });
});

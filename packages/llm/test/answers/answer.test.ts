import { expect, test } from "@jest/globals";
import { type AnswerSource, chargeFor } from "../../src/answers/answer.ts";

const call = { cost: 1250, tokens: 300 };

test.each<[AnswerSource, "hit" | "coalesced"]>([
  ["l1", "hit"],
  ["redis", "hit"],
  ["ledger", "hit"],
  ["follower", "coalesced"],
])(
  "T19 an answer from %s costs nothing, and what it had cost counts as saved by cause (LiteLLM #1783, #14749, #39960)",
  (source, cause) => {
    expect(chargeFor(source, call)).toEqual({ cost: 0, saved: { ...call, cause } });
  },
);

test("T19 who sent the call pays for it and saves nothing (LiteLLM #20132)", () => {
  expect(chargeFor("leader", call)).toEqual({ cost: 1250, saved: { cost: 0, tokens: 0, cause: null } });
});

test("what an unknown price saved is not known, and not nothing", () => {
  expect(chargeFor("redis", { cost: null, tokens: 300 }).saved.cost).toBeNull();
  expect(chargeFor("leader", { cost: null, tokens: 300 }).cost).toBeNull();
});

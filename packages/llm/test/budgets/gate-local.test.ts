import { describe, expect, test } from "@jest/globals";
import { describeGate } from "./gate.suite.ts";
import { callWith, enterMany, GateHouse } from "./set-up.ts";

describeGate("without Redis", () => Promise.resolve(null));

describe("processes that hear nothing of each other", () => {
  test("hold themselves to their part of each limit", async () => {
    await using house = new GateHouse(null);
    const gate = await house.open({ instances: 4, ceiling: 16 });
    expect(await enterMany(gate, callWith())).toHaveLength(2);
    expect(await enterMany(gate, callWith({ rpm: 120, model: "other" }))).toHaveLength(2);
    const money = callWith({ userLimits: { tokensPerDay: null, costPerDay: 450 }, model: "third" });
    expect(await enterMany(gate, money)).toHaveLength(1);
  });
});

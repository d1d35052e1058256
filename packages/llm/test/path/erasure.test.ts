import { expect, test } from "@jest/globals";
import { waitFor } from "@mythic/testing/wait";
import { ask, callerWith, isKept, REUSE, requestFor } from "./asking.ts";
import { type Member, useHouses } from "./set-up.ts";

const ben = callerWith({ user: "ben", scope: "user:ben" });

async function causeOf({ answers }: Member, scope: "user:ada" | "user:ben"): Promise<string> {
  return (await answers.explain(requestFor(), REUSE, scope)).cause;
}

const redis = useHouses("shared");
const alone = useHouses(null);

test.each([
  ["with Redis, in the memory of all processes", redis, 2],
  ["without Redis", alone, 1],
] as const)(
  "a user's answers can be removed %s, with what is told of them, and no other user's",
  async (_where, houses, processes) => {
    const house = await houses.build();
    const members: Member[] = [];
    for (let count = 0; count < processes; count += 1) members.push(await house.open());
    const [one] = members as [Member];
    await ask(one);
    await ask(one, { request: requestFor({ seed: 1 }) });
    await ask(one, { caller: ben });
    for (const member of members) expect(await isKept(member)).toBe(true);
    await waitFor(async () => (await causeOf(one, "user:ada")) === "none");

    const last = members.at(-1) as Member;
    expect(await last.cache.deleteByTag({ user: "user:ada" }, "user:ada:answers")).toBeGreaterThan(0);
    await last.forget("ada");

    for (const member of members) {
      for (const request of [requestFor(), requestFor({ seed: 1 })]) {
        await waitFor(async () => !(await isKept(member, { request })));
      }
      expect(await isKept(member, { caller: ben })).toBe(true);
      expect(await causeOf(member, "user:ben")).toBe("none");
    }
    expect(await causeOf(last, "user:ada")).toBe("nothing_like_it");
  },
);

import { randomBytes } from "node:crypto";
import { beforeEach, describe, expect, test } from "@jest/globals";
import { waitFor } from "@mythic/testing/wait";
import { ask, CACHED, codeOf, isKept, REFRESH, requestFor, Seen, stream, TEXT } from "./asking.ts";
import { type House, useHouses } from "./set-up.ts";

const [KEY = "", NEXT = ""] = [1, 2].map(() => randomBytes(32).toString("base64"));
const SECRET_ANSWER = "The keeper's diary says that she was paid in herring.";
/** Words of the question and of the answer that are found nowhere else. */
const WORDS = ["herring", "diary", "burned", "ninety", TEXT.slice(4, 24)];

const houses = useHouses("shared");
let house: House;
beforeEach(async () => {
  house = await houses.build();
});

/** Asks in all ways that leave something behind, and gives what is in Redis in the midst of it and after. */
async function traffic(encryptionKeys: readonly string[]): Promise<string> {
  const [one, two] = [await house.open({ encryptionKeys }), await house.open({ encryptionKeys })];
  const rule = house.fake.script({ chunkMs: 30, does: { kind: "answer", content: SECRET_ANSWER } });
  const leader = new Seen(stream(one));
  await waitFor(() => leader.text.length > 0);
  const follower = new Seen(stream(two));
  await waitFor(() => follower.text.length > 0);
  const during = await house.dump();
  await Promise.all([leader.done, follower.done]);
  expect(follower.completed?.text).toBe(SECRET_ANSWER);
  expect((await ask(two)).source).toEqual(CACHED);
  rule.remove();
  house.fake.script({ times: 1, does: { kind: "status", status: 400, message: `Bad: ${TEXT}` } });
  await codeOf(ask(one, { request: requestFor({ seed: 1 }) }));
  return `${during}\n${await waitFor(async () => {
    const after = await house.dump();
    return after.includes("answers") && after.includes("traces") && after;
  })}`;
}

describe("with a key", () => {
  test("nothing of a question or an answer is readable in Redis, on its way or kept", async () => {
    const dumped = await traffic([KEY]);
    expect(dumped).toContain("mythic-sealed");
    for (const word of WORDS) expect(dumped).not.toContain(word);
    for (const word of WORDS) {
      expect(dumped).not.toContain(Buffer.from(word).toString("base64url").slice(0, -2));
    }
  });

  test("another process with the key reads what is kept, and one without it asks anew", async () => {
    const request = requestFor();
    const first = await ask(await house.open({ encryptionKeys: [KEY] }), { request });
    const other = await house.open({ encryptionKeys: [KEY] });
    expect(await ask(other, { request })).toMatchObject({ source: "redis", text: first.text });
    const without = await house.open();
    expect(await isKept(without)).toBe(false);
    house.pass(1);
    expect((await ask(without)).source).toBe("leader");
  });

  test("a value that somebody put in the place of another is not taken for it", async () => {
    const member = await house.open({ encryptionKeys: [KEY] });
    const other = requestFor({ seed: 1 });
    const [{ keyDigest: one }, { keyDigest: two }] = [
      await ask(member),
      await ask(member, { request: other }),
    ];
    const family = member.cache.families.answers;
    const value = await family.get("user:ada", one);
    await family.set("user:ada", two, value ?? {});
    expect(await isKept(member)).toBe(true);
    expect(await isKept(member, { request: other })).toBe(false);
  });

  test("a value that was tampered with counts as none", async () => {
    const member = await house.open({ encryptionKeys: [KEY] });
    const { keyDigest } = await ask(member);
    const family = member.cache.families.answers;
    const sealed = String((await family.get("user:ada", keyDigest))?.["sealed"]);
    const last = sealed.at(-2) === "A" ? "B" : "A";
    await family.set("user:ada", keyDigest, { sealed: `${sealed.slice(0, -2)}${last}${sealed.at(-1)}` });
    expect(await isKept(member)).toBe(false);
    for (const value of [{}, { sealed: 7 }, { sealed: "" }, { answers: "no" }]) {
      await family.set("user:ada", keyDigest, value);
      expect(await isKept(member)).toBe(false);
    }
    expect((await ask(member)).source).toBe("leader");
  });
});

test("without a key it is readable, so that the test above can fail", async () => {
  const dumped = await traffic([]);
  expect(dumped).toContain("herring");
});

describe("a change of keys", () => {
  test("leaves what is kept readable while the old key is there, and writes with the new one", async () => {
    const old = await house.open({ encryptionKeys: [KEY] });
    const { text } = await ask(old);
    const both = await house.open({ encryptionKeys: [NEXT, KEY] });
    expect(await ask(both)).toMatchObject({ source: CACHED, text });
    house.pass(1);
    await ask(both, { policy: REFRESH });
    const request = requestFor({ seed: 1 });
    await ask(both, { request });
    const after = await house.open({ encryptionKeys: [NEXT] });
    expect((await ask(after)).source).toEqual(CACHED);
    expect((await ask(after, { request })).source).toEqual(CACHED);
    expect(house.fake.calls()).toHaveLength(3);
  });

  test("makes what the old key sealed as if it were not there, once that is gone", async () => {
    await ask(await house.open({ encryptionKeys: [KEY] }));
    const after = await house.open({ encryptionKeys: [NEXT] });
    house.pass(1);
    expect((await ask(after)).source).toBe("leader");
    expect((await ask(after)).source).toEqual(CACHED);
  });

  test("in mid-flight lets processes with different keys in front follow each other", async () => {
    const one = await house.open({ encryptionKeys: [KEY, NEXT] });
    const two = await house.open({ encryptionKeys: [NEXT, KEY] });
    house.fake.script({ chunkMs: 30 });
    const leader = new Seen(stream(one));
    await waitFor(() => leader.text.length > 0);
    const follower = new Seen(stream(two));
    await Promise.all([leader.done, follower.done]);
    expect(follower.completed).toMatchObject({ source: "follower", text: leader.text });
    expect(house.fake.calls()).toHaveLength(1);
  });

  test("a key that only the leader has makes a follower end without an answer, or ask himself, but not wait for ever", async () => {
    const one = await house.open({ encryptionKeys: [KEY] });
    const two = await house.open({ encryptionKeys: [NEXT] });
    house.fake.script({ chunkMs: 20 });
    const leader = new Seen(stream(one));
    await waitFor(() => leader.text.length > 0);
    const follower = new Seen(stream(two));
    await Promise.all([leader.done, follower.done]);
    expect(leader.completed?.source).toBe("leader");
    expect(follower.completed?.source).toBe("leader");
    expect(house.fake.calls()).toHaveLength(2);
  });
});

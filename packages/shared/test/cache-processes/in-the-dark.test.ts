import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { waitFor } from "@mythic/testing/wait";
import { type Crew, gather, holds, keyOf, type Member } from "./crew.ts";
import type { Way } from "./notes-child.ts";

let crew: Crew;
let one: Member;
let other: Member;

beforeAll(async () => {
  crew = await gather({ size: 2, heartbeatMs: 200 });
  [one, other] = crew.members as [Member, Member];
});
afterAll(async () => {
  await crew[Symbol.asyncDispose]();
});

const WAYS: readonly { readonly way: Way }[] = [
  { way: "key" },
  { way: "tag" },
  { way: "pattern" },
  { way: "clear" },
];

describe.each(WAYS)("a value invalidated by $way while Redis is frozen", ({ way }) => {
  const id = `frozen-${way}`;

  test("is removed from Redis by the process that did it, before that process reads there again [AutoRecovery]", async () => {
    await one.order("set", { id, text: "old" });
    await Promise.all([holds(one, id, "old"), holds(other, id, "old")]);
    await crew.server.pause();
    await one.order("invalidate", { id, way });
    expect(await one.order("get", id)).toBeUndefined();
    const { pendingRemovals, status } = await one.order("health");
    expect(pendingRemovals).toBe(1);
    expect(status).toBe("degraded");
    const texts = one.order("readUntilTold", id);
    // The other one trusts its memory for two heartbeats, and notices by then that it hears nothing.
    await waitFor(async () => (await other.order("peek", id)) === undefined, { everyMs: 2 });
    await crew.server.resume();
    expect(new Set(await texts)).toEqual(new Set([undefined]));
    expect(await other.order("ready")).toBe(true);
    expect(await other.order("get", id)).toBeUndefined();
    expect(await other.order("obtain", { id, text: "new" })).toBe("new");
    expect(await one.order("obtain", { id, text: "not needed" })).toBe("new");
  });
});

describe("while Redis is gone", () => {
  test("each process has what it loads for itself, and all agree again when it is back", async () => {
    await crew.server.stop();
    expect(await one.order("obtain", { id: "apart", text: "one's" })).toBe("one's");
    expect(await other.order("obtain", { id: "apart", text: "other's" })).toBe("other's");
    expect((await one.order("health")).status).toBe("degraded");
    await crew.server.start();
    for (const member of crew.members) expect(await member.order("ready")).toBe(true);
    expect(await one.order("obtain", { id: "apart", text: "common" })).toBe("common");
    await waitFor(() => crew.stranger.exists(keyOf("apart")));
    expect(await other.order("obtain", { id: "apart", text: "not needed" })).toBe("common");
  });
});

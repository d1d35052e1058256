import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { get } from "node:http";
import { describe, expect, test } from "@jest/globals";
import { openRateLimiter, type RateLimiterOptions } from "@mythic/shared/rate-limit";
import { openGuardedRedis, waitForRedis } from "@mythic/shared/redis";
import { PATIENT_MS, redisUrl } from "@mythic/testing/redis";
import { makeApiKey } from "../src/api-key.ts";
import { FailedAttempts, type Verdict } from "../src/failed-attempts.ts";
import { POLICIES } from "../src/policies.ts";
import { isLoopback } from "../src/same-machine.ts";
import { problemOf, startTestApi, type TestApi, upload, uploadedBook } from "./test-api.ts";

/** fetch does not let a program set these headers. */
async function ask(api: TestApi, headers: Record<string, string>, path = "/books/my"): Promise<number> {
  const request = get(`${api.url}${path}`, { headers, agent: false });
  const [response] = await once(request, "response");
  response.resume();
  return response.statusCode;
}

describe("without keys", () => {
  test("on loopback everyone on this machine is the user local, an admin", async () => {
    await using api = await startTestApi();
    expect((await fetch(`${api.url}/books/my`)).status).toBe(200);
    const book = await uploadedBook(api);
    expect(await api.store.books.get("local", book.id)).not.toBeNull();
    expect((await fetch(`${api.url}/admin/queues`)).status).toBe(503);
  });

  test("a page whose name points to this machine gets nothing", async () => {
    await using api = await startTestApi();
    const { host } = new URL(api.url);
    expect(await ask(api, { host: "evil.example" })).toBe(403);
    expect(await ask(api, { host: `evil.example:${api.url.split(":").at(-1)}` })).toBe(403);
    expect(await ask(api, { host: "localhost:1" })).toBe(200);
    expect(await ask(api, { host: "[::1]:1" })).toBe(200);
    expect(await ask(api, { origin: "http://evil.example" })).toBe(403);
    expect(await ask(api, { origin: "null" })).toBe(403);
    expect(await ask(api, { origin: `http://${host}` })).toBe(200);
  });

  test("a page of another site cannot make a browser write", async () => {
    await using api = await startTestApi();
    const cross = await upload(api, "Some text.", { "sec-fetch-site": "cross-site" });
    expect(cross.status).toBe(403);
    expect((await problemOf(cross)).code).toBe("forbidden_origin");
  });

  test("whoever comes through a proxy is not on this machine", async () => {
    await using api = await startTestApi();
    expect(await ask(api, { "x-forwarded-for": "203.0.113.7" })).toBe(403);
    expect(await ask(api, { forwarded: "for=203.0.113.7" })).toBe(403);
    expect(await ask(api, { via: "1.1 proxy.example" })).toBe(403);
    expect(await ask(api, { "x-forwarded-host": "mythic.example" })).toBe(403);
  });

  test("on any other host nobody is let in, and the answer says how to make a key", async () => {
    await using api = await startTestApi({ config: { host: "0.0.0.0" } });
    const url = api.url.replace("0.0.0.0", "127.0.0.1");
    const response = await fetch(`${url}/books/my`);
    expect(response.status).toBe(401);
    const { code, detail } = await problemOf(response);
    expect(code).toBe("no_keys");
    expect(detail).toContain("mythic key create");
    expect((await fetch(`${url}/health/ready`)).status).toBe(200);
    const key = await api.key("me");
    expect((await fetch(`${url}/books/my`, { headers: { authorization: key.authorization } })).status).toBe(
      200,
    );
  });

  test("the first key closes the door at once, and revoking it does not open it", async () => {
    await using api = await startTestApi();
    expect((await fetch(`${api.url}/books/my`)).status).toBe(200);
    const { id } = await api.key("me");
    expect((await fetch(`${api.url}/books/my`)).status).toBe(401);
    await api.store.keys.revoke(id);
    const response = await fetch(`${api.url}/books/my`);
    expect(response.status).toBe(401);
    expect((await problemOf(response)).code).toBe("unauthorized");
  });

  test.each([
    ["127.0.0.1", true],
    ["127.8.9.1", true],
    ["localhost", true],
    ["::1", true],
    ["[::1]", true],
    ["0.0.0.0", false],
    ["::", false],
    ["192.168.1.5", false],
    ["127.0.0.1.evil.example", false],
  ])("%s is loopback: %s", (host, expected) => {
    expect(isLoopback(host)).toBe(expected);
  });
});

describe("with keys", () => {
  test("a key lets its user in, and sees its user's things alone", async () => {
    await using api = await startTestApi();
    const [one, two] = [await api.key("one"), await api.key("two")];
    const book = await uploadedBook(api, { authorization: one.authorization });
    const show = (authorization: string) =>
      fetch(`${api.url}/books/${book.id}`, { headers: { authorization } });
    expect((await show(one.authorization)).status).toBe(200);
    expect((await show(two.authorization)).status).toBe(404);
    expect((await show(one.authorization.replace("Bearer", "bearer"))).status).toBe(200);
  });

  test("a revoked key is refused by the next request", async () => {
    await using api = await startTestApi();
    const { authorization, id } = await api.key("me");
    const ask = () => fetch(`${api.url}/books/my`, { headers: { authorization } });
    expect((await ask()).status).toBe(200);
    await api.store.keys.revoke(id);
    const refused = await ask();
    expect(refused.status).toBe(401);
    expect(refused.headers.get("www-authenticate")).toBe('Bearer realm="mythic"');
    expect((await problemOf(refused)).code).toBe("invalid_key");
  });

  test("no key, a mistyped one, one of another server and a password are all refused alike", async () => {
    await using api = await startTestApi();
    const { authorization } = await api.key("me");
    const basic = `Basic ${Buffer.from(`me:${authorization.slice(7)}`).toString("base64")}`;
    expect((await fetch(`${api.url}/books/my`)).status).toBe(401);
    for (const wrong of [`${authorization}x`, `Bearer ${makeApiKey().key}`, basic, "Bearer", "Bearer a b"]) {
      const response = await fetch(`${api.url}/books/my`, { headers: { authorization: wrong } });
      expect(response.status).toBe(401);
    }
  });

  test("wrong keys of one address get slower and are then turned away, but a right one is not", async () => {
    const clock = { at: 1_000_000 };
    const delays: number[] = [];
    await using api = await startTestApi({
      clock: {
        now: () => clock.at,
        delay: async (milliseconds) => {
          delays.push(milliseconds);
        },
      },
    });
    const { authorization } = await api.key("me");
    const wrong = () =>
      fetch(`${api.url}/books/my`, { headers: { authorization: `Bearer ${makeApiKey().key}` } });
    for (let time = 0; time < 10; time++) expect((await wrong()).status).toBe(401);
    expect(delays).toEqual([25, 50, 100, 200, 400, 800, 1_600, 2_000, 2_000, 2_000]);
    clock.at += 15_000;
    const refused = await wrong();
    expect(refused.status).toBe(429);
    expect(refused.headers.get("retry-after")).toBe("45");
    expect((await problemOf(refused)).code).toBe("too_many_attempts");
    expect((await fetch(`${api.url}/books/my`, { headers: { authorization } })).status).toBe(200);
    clock.at += 45_000;
    expect((await wrong()).status).toBe(401);
  });

  test("a key never shows up in the log", async () => {
    await using api = await startTestApi();
    const { authorization } = await api.key("me");
    await fetch(`${api.url}/books/my`, { headers: { authorization } });
    await fetch(`${api.url}/books/my?key=${authorization.slice(7)}`, {
      headers: { authorization: "Bearer x" },
    });
    expect(JSON.stringify(api.log)).not.toContain(authorization.slice(7));
    expect(JSON.stringify(api.log)).toContain("/books/my");
  });
});

describe("failed attempts", () => {
  const namespace = () => `test-${randomUUID()}`;
  const countAttempts = (options: Pick<RateLimiterOptions, "namespace" | "redis" | "clock">) =>
    new FailedAttempts(openRateLimiter(options), POLICIES.logins);

  test("addresses of one IPv6 network count together, others apart", async () => {
    const attempts = countAttempts({ namespace: namespace(), redis: null, clock: () => 0 });
    const delayOf = async (address: string) => {
      const verdict = await attempts.add(address);
      return verdict.kind === "delay" ? verdict.delayMs : null;
    };
    expect(await delayOf("2001:db8:1:2::1")).toBe(25);
    expect(await delayOf("2001:db8:1:2:ffff::9")).toBe(50);
    expect(await delayOf("2001:db8:1:3::1")).toBe(25);
    expect(await delayOf("::ffff:192.0.2.1")).toBe(25);
    expect(await delayOf("::ffff:192.0.2.2")).toBe(25);
  });

  test("what one process counts, the others know", async () => {
    await using stack = new AsyncDisposableStack();
    const shared = namespace();
    const processes: FailedAttempts[] = [];
    for (let count = 0; count < 2; count++) {
      const redis = openGuardedRedis(await redisUrl(), { commandTimeoutMs: PATIENT_MS });
      stack.defer(() => redis.close());
      expect(await waitForRedis(redis, 5_000)).toBe(true);
      processes.push(countAttempts({ namespace: shared, redis }));
    }
    const verdicts: Verdict[] = [];
    for (let time = 0; time < 12; time++) {
      const verdict = await processes[time % 2]?.add("192.0.2.7");
      if (verdict) verdicts.push(verdict);
    }
    expect(verdicts.slice(0, 4)).toEqual([25, 50, 100, 200].map((delayMs) => ({ kind: "delay", delayMs })));
    expect(verdicts.map(({ kind }) => kind)).toEqual([...Array(10).fill("delay"), "refuse", "refuse"]);
  });
});

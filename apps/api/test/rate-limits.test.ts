import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { connectRedis, waitForRedis } from "@mythic/shared/redis";
import { redisUrl } from "@mythic/testing/redis";
import { NO_POLICIES, POLICIES } from "../src/policies.ts";
import {
  post,
  problemOf,
  startedRun,
  startTestApi,
  type TestApi,
  textBook,
  upload,
  uploadedBook,
} from "./test-api.ts";

const MINUTE = 60_000;

type Key = { readonly authorization: string };

const keyOf = async (api: TestApi, user: string): Promise<Key> => ({
  authorization: (await api.key(user)).authorization,
});
const list = (api: TestApi, headers: Partial<Key> = {}) => fetch(`${api.url}/books/my`, { headers });
const statuses = async (times: number, ask: () => Promise<Response>) => {
  const seen: number[] = [];
  for (let time = 0; time < times; time++) seen.push((await ask()).status);
  return seen;
};

describe("limits of a process without Redis", () => {
  let stack: AsyncDisposableStack;
  let clock: { at: number };
  beforeEach(() => {
    stack = new AsyncDisposableStack();
    clock = { at: 1_000_000 };
  });
  afterEach(() => stack.disposeAsync());

  const start = async (policies: Partial<typeof POLICIES> = {}) =>
    stack.use(
      await startTestApi({
        config: { policies: { ...POLICIES, ...policies } },
        clock: { now: () => clock.at, delay: async () => undefined },
      }),
    );

  test("every answer says what it counted for and what is left", async () => {
    const api = await start();
    const key = await keyOf(api, "me");
    const limitsOf = async (asking: Promise<Response>) => {
      const { headers } = await asking;
      return [headers.get("ratelimit-policy"), headers.get("ratelimit")];
    };
    expect(await limitsOf(list(api, key))).toEqual([
      '"reads";q=1200;w=60',
      // A process may hold 20 of them that it does not tell of.
      '"reads";r=1179;t=1',
    ]);
    const book = upload(api, textBook(1), key);
    expect(await limitsOf(book)).toEqual([
      '"uploads";q=60;w=3600, "writes";q=120;w=60',
      '"uploads";r=59;t=60, "writes";r=119;t=1',
    ]);
    const { id } = await uploadedBook(api, key);
    expect(await limitsOf(post(api, "/runs", { book_id: id }, key))).toEqual([
      '"writes";q=120;w=60, "runs";q=120;w=3600',
      expect.stringMatching(/^"writes";r=117;t=\d+, "runs";r=119;t=30$/),
    ]);
    // What a run would take is asked before it is started, and costs none.
    expect(await limitsOf(post(api, "/runs", { book_id: id, dry_run: true }, key))).toEqual([
      '"writes";q=120;w=60',
      expect.stringMatching(/^"writes";r=116;t=\d+$/),
    ]);
    const form = new FormData();
    form.set("file", new Blob([textBook(2)]), "book.txt");
    const withFile = fetch(`${api.url}/runs`, { method: "POST", headers: key, body: form });
    expect((await limitsOf(withFile))[0]).toBe(
      '"writes";q=120;w=60, "uploads";q=60;w=3600, "runs";q=120;w=3600',
    );
    expect(await limitsOf(fetch(`${api.url}/health/ready`, { headers: key }))).toEqual([null, null]);
  });

  test("beyond a limit the answer is a problem that says which, and when to come back", async () => {
    const api = await start({ writes: { limit: 2, periodMs: MINUTE } });
    const key = await keyOf(api, "me");
    const remove = () => fetch(`${api.url}/books/book_0`, { method: "DELETE", headers: key });
    expect(await statuses(2, remove)).toEqual([404, 404]);
    const refused = await remove();
    expect(refused.status).toBe(429);
    expect(refused.headers.get("retry-after")).toBe("30");
    expect(refused.headers.get("ratelimit")).toBe('"writes";r=0;t=30');
    expect(await problemOf(refused)).toMatchObject({
      code: "rate_limited",
      title: "Too many requests",
      "violated-policies": ["writes"],
    });
    // Reads go on.
    expect((await list(api, key)).status).toBe(200);
    clock.at += 30_000;
    expect(await statuses(2, remove)).toEqual([404, 429]);
  });

  test("users have limits of their own, and their keys share them", async () => {
    const api = await start({ reads: { limit: 3, periodMs: MINUTE } });
    const [mine, mineToo, others] = [await keyOf(api, "me"), await keyOf(api, "me"), await keyOf(api, "you")];
    expect(await statuses(2, () => list(api, mine))).toEqual([200, 200]);
    expect(await statuses(2, () => list(api, mineToo))).toEqual([200, 429]);
    expect(await statuses(3, () => list(api, others))).toEqual([200, 200, 200]);
  });

  test("the only user of a machine without keys has none", async () => {
    const api = await start({ reads: { limit: 1, periodMs: MINUTE } });
    expect(await statuses(5, () => list(api))).toEqual([200, 200, 200, 200, 200]);
    expect((await list(api)).headers.has("ratelimit")).toBe(false);
    const key = await keyOf(api, "me");
    expect(await statuses(2, () => list(api, key))).toEqual([200, 429]);
  });

  test("what is off is not limited, nor spoken of", async () => {
    const api = await start({ ...NO_POLICIES });
    const key = await keyOf(api, "me");
    const response = await list(api, key);
    expect(response.headers.has("ratelimit-policy")).toBe(false);
    const wrong = { authorization: `${key.authorization.slice(0, -1)}_` };
    expect(new Set(await statuses(15, () => list(api, wrong)))).toEqual(new Set([401]));
  });

  test("an upload beyond the limit is refused before its bytes have come", async () => {
    const api = await start({ uploads: { limit: 1, periodMs: MINUTE } });
    const key = await keyOf(api, "me");
    expect((await upload(api, textBook(1), key)).status).toBe(201);
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(Buffer.alloc(65_536, "a")),
    });
    const refused = await fetch(`${api.url}/books`, {
      method: "POST",
      headers: { ...key, "content-type": "application/octet-stream" },
      body: endless,
      duplex: "half",
    } as RequestInit);
    expect(refused.status).toBe(429);
    expect((await problemOf(refused)).code).toBe("rate_limited");
  });

  test("whoever goes on asking is let in as soon as whoever waits [litellm#14204]", async () => {
    const api = await start({ reads: { limit: 2, periodMs: MINUTE } });
    const key = await keyOf(api, "me");
    await statuses(2, () => list(api, key));
    for (const retryAfter of ["30", "20", "10"]) {
      const refused = await list(api, key);
      expect(refused.headers.get("retry-after")).toBe(retryAfter);
      clock.at += 10_000;
    }
    expect((await list(api, key)).status).toBe(200);
  });

  test("the end of a minute is not a moment for twice as much [block/buzz#3477]", async () => {
    const api = await start({ writes: { limit: 6, periodMs: MINUTE } });
    const key = await keyOf(api, "me");
    const remove = () => fetch(`${api.url}/books/book_0`, { method: "DELETE", headers: key });
    clock.at += 59_900 - (clock.at % MINUTE);
    expect(await statuses(6, remove)).toEqual(Array(6).fill(404));
    clock.at += 200;
    expect(await statuses(6, remove)).toEqual(Array(6).fill(429));
  });
});

describe("limits of processes that share a Redis", () => {
  let stack: AsyncDisposableStack;
  beforeEach(() => {
    stack = new AsyncDisposableStack();
  });
  afterEach(() => stack.disposeAsync());

  const start = async (policies: Partial<typeof POLICIES>, beside?: TestApi) =>
    stack.use(
      await startTestApi({
        redisUrl: await redisUrl(),
        config: { policies: { ...POLICIES, ...policies } },
        ...(beside ? { beside } : {}),
      }),
    );

  test.each(["reads", "writes"] as const)("%s at one count at the other [litellm#10555]", async (name) => {
    const policies = { [name]: { limit: 40, periodMs: 10 * MINUTE } };
    const one = await start(policies);
    const other = await start(policies, one);
    const key = await keyOf(one, "me");
    const ask = (api: TestApi) =>
      name === "reads"
        ? list(api, key)
        : fetch(`${api.url}/books/book_0`, { method: "DELETE", headers: key });
    const seen: number[] = [];
    for (let time = 0; time < 30; time++) {
      for (const api of [one, other]) seen.push((await ask(api)).status);
    }
    const passed = seen.filter((status) => status !== 429).length;
    // What a process took in advance and did not use may be missing.
    expect(passed).toBeLessThanOrEqual(40);
    expect(passed).toBeGreaterThanOrEqual(name === "reads" ? 20 : 40);
    expect(seen.slice(-10)).toEqual(Array(10).fill(429));
  });

  test("most polls need no way to Redis for theirs", async () => {
    const api = await start({});
    const key = await keyOf(api, "me");
    const { id } = await startedRun(api, (await uploadedBook(api, key)).id, key);
    for (let time = 0; time < 100; time++) await fetch(`${api.url}/status/${id}`, { headers: key });
    const { authorization } = await api.key("boss", "admin");
    const text = await (await fetch(`${api.url}/metrics`, { headers: { authorization } })).text();
    const [, here = "0"] =
      /^mythic_rate_limit_decisions_total\{outcome="allowed",tier="chunk",policy="none"\} (\d+)$/m.exec(
        text,
      ) ?? [];
    expect(Number(here)).toBeGreaterThanOrEqual(90);
  });

  // Limits as well as what is cached [better-auth#4472].
  test("nothing stays in Redis for ever", async () => {
    const few = { limit: 1, periodMs: MINUTE };
    const api = await start({ runs: few, logins: few });
    const key = await keyOf(api, "me");
    const { id } = await uploadedBook(api, key);
    const run = await startedRun(api, id, key);
    await post(api, "/runs", { book_id: id }, key);
    await fetch(`${api.url}/runs/${run.id}/cancel`, { method: "POST", headers: key });
    for (const path of ["/books/my", `/books/${id}`, `/runs/${run.id}`, `/runs/${run.id}/result`]) {
      expect((await fetch(`${api.url}${path}`, { headers: key })).status).toBe(200);
    }
    const wrong = { authorization: `${key.authorization.slice(0, -1)}_` };
    expect(await statuses(2, () => list(api, wrong))).toEqual([401, 429]);
    const { authorization } = await api.key("boss", "admin");
    await fetch(`${api.url}/cache/stats`, { headers: { authorization } });

    const redis = connectRedis(await redisUrl(), "cache");
    stack.defer(() => redis.disconnect());
    expect(await waitForRedis(redis, 5_000)).toBe(true);
    const keys: string[] = [];
    for (let cursor = "0"; ; ) {
      const pattern = `${api.caching.namespace}:*`;
      const [next, some] = await redis.scan(cursor, "MATCH", pattern, "COUNT", 1_000);
      keys.push(...some);
      if (next === "0") break;
      cursor = next;
    }
    const kinds = ["run-status", "book-list", "book", "result", "api-key"].map((name) => `:v:${name}.`);
    for (const part of [...kinds, ":t:", ":r:", ":stats"]) {
      expect([part, keys.some((one) => one.includes(part))]).toEqual([part, true]);
    }
    const lasting = await Promise.all(keys.map(async (one) => ((await redis.pttl(one)) === -1 ? one : null)));
    expect(lasting.filter((one) => one !== null)).toEqual([]);
  });
});

import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import type { Store } from "@mythic/runs";
import { redisUrl } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import { wantedWaitSeconds } from "../src/prefer.ts";
import { startedRun, startTestApi, type TestApi, type TestApiOptions, uploadedBook } from "./test-api.ts";

/** Far below what is waited for, and the half minute for which a process of which nobody tells anything trusts its memory. */
const TOLD_MS = 10_000;
const SECONDS = 20;
/** Longer than a busy machine takes for any request. */
const SLOW_MS = 1_900;

interface Waited {
  readonly status: number;
  readonly applied: string | null;
  readonly stage: string | null;
  /** Since it was asked for. */
  readonly ms: number;
}

async function ask(api: TestApi, id: string, init: RequestInit = {}): Promise<Waited> {
  const begun = performance.now();
  const headers = { prefer: `wait=${SECONDS}`, ...init.headers };
  const response = await fetch(`${api.url}/status/${id}`, { ...init, headers });
  const text = await response.text();
  return {
    status: response.status,
    applied: response.headers.get("preference-applied"),
    stage: text === "" ? null : (JSON.parse(text) as { readonly stage: string }).stage,
    ms: performance.now() - begun,
  };
}

/** Asks, and answers once what is there was looked at. */
async function begin(api: TestApi, id: string, init: RequestInit = {}) {
  await fetch(`${api.url}/status/${id}`);
  const looks = () => api.log.filter(({ family }) => family === "run-status").length;
  const before = looks();
  const waited = ask(api, id, init);
  await waitFor(() => looks() > before, { what: "the run to be looked at", everyMs: 1 });
  return { waited };
}

async function change(store: Store, id: string, stage: "chapters" | "merging" = "chapters"): Promise<void> {
  const run = await store.runs.get("local", id);
  const changed = run && (await store.runs.update("local", id, run.revision, { stage }));
  if (!changed) throw new Error("The run was not changed.");
}

describe("whoever waits for a run", () => {
  let stack: AsyncDisposableStack;
  let api: TestApi;
  let id: string;
  beforeEach(async () => {
    stack = new AsyncDisposableStack();
    api = await start({ redisUrl: await redisUrl(), config: { slowRequestMs: SLOW_MS } });
    ({ id } = await startedRun(api, (await uploadedBook(api)).id));
  });
  afterEach(() => stack.disposeAsync());

  async function start(options: TestApiOptions): Promise<TestApi> {
    const started = await startTestApi(options);
    return stack.use(started);
  }

  test("is answered when another process changes it", async () => {
    const other = await start({ redisUrl: await redisUrl(), beside: api });
    const { waited } = await begin(other, id);
    const changedAt = performance.now();
    await change(api.store, id);
    expect(await waited).toMatchObject({ status: 200, applied: `wait=${SECONDS}`, stage: "chapters" });
    expect(performance.now() - changedAt).toBeLessThan(TOLD_MS);
  });

  test("is answered when nobody tells of the change, as the run is looked at", async () => {
    const alone = await start({ beside: api });
    const { waited } = await begin(alone, id);
    const changedAt = performance.now();
    await change(api.store, id);
    expect(await waited).toMatchObject({ stage: "chapters" });
    // One second in memory, one until the next look.
    expect(performance.now() - changedAt).toBeLessThan(TOLD_MS);
  });

  test("and has not seen the last change is answered at once", async () => {
    const { ms, stage } = await ask(api, id, { headers: { "if-none-match": 'W/"0"' } });
    expect(stage).not.toBeNull();
    expect(ms).toBeLessThan(TOLD_MS);
  });

  test("hears after the time that nothing has changed", async () => {
    const etag = (await fetch(`${api.url}/status/${id}`)).headers.get("etag") ?? "";
    const { status, applied, ms } = await ask(api, id, {
      headers: { prefer: "wait=2", "if-none-match": etag },
    });
    expect({ status, applied }).toEqual({ status: 304, applied: "wait=2" });
    expect(ms).toBeGreaterThan(1_990);
    // What a client asked to wait is not slow.
    expect(api.log.find(({ msg }) => msg === "slow request")).toBeUndefined();
  });

  test("is answered at once when the run has ended", async () => {
    await fetch(`${api.url}/runs/${id}/cancel`, { method: "POST" });
    const { ms, status } = await ask(api, id);
    expect(status).toBe(200);
    expect(ms).toBeLessThan(TOLD_MS);
  });

  test("is not answered about someone else's run, nor about none", async () => {
    const { authorization } = await api.key("someone");
    const { ms, status } = await ask(api, id, { headers: { authorization, prefer: "wait=20" } });
    expect(status).toBe(404);
    expect(ms).toBeLessThan(TOLD_MS);
  });

  test("has 20 answers to wait for, and is answered at once beyond; whoever leaves makes room", async () => {
    const leaving = new AbortController();
    const waiting: Promise<unknown>[] = [];
    for (let at = 0; at < 20; at++) {
      const { waited } = await begin(api, id, { signal: leaving.signal });
      waiting.push(waited.catch(() => null));
    }
    expect(await ask(api, id)).toMatchObject({ status: 200, applied: null });
    leaving.abort();
    await Promise.all(waiting);
    const isRoom = async () => (await ask(api, id, { headers: { "if-none-match": 'W/"0"' } })).applied;
    expect(await waitFor(isRoom, { what: "room for one more" })).toBe(`wait=${SECONDS}`);
  });

  test("is answered when the server stops", async () => {
    const { waited } = await begin(api, id);
    const closed = api.close();
    const { status, ms } = await waited;
    await closed;
    expect(status).toBe(200);
    expect(ms).toBeLessThan(TOLD_MS);
  });
});

test.each([
  [undefined, 0],
  ["wait=25", 25],
  ["respond-async, wait=5", 5],
  ["WAIT = 7", 7],
  ['wait="8"', 8],
  ["wait=99", 30],
  ["wait=1.5", 0],
  ["await=3", 0],
  ["return=minimal; foo=bar", 0],
])("Prefer: %s asks for %d seconds", (prefer, seconds) => {
  expect(wantedWaitSeconds({ headers: { prefer } })).toBe(seconds);
});

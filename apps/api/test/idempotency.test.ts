import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { type Run, StoreUnavailableError } from "@mythic/runs";
import { bookSchema } from "../src/wire/book.ts";
import { runSchema } from "../src/wire/run.ts";
import {
  post,
  problemOf,
  refuse,
  startTestApi,
  type TestApi,
  textBook,
  upload,
  uploadedBook,
} from "./test-api.ts";

describe("requests with an Idempotency-Key", () => {
  let api: TestApi;
  let bookId: string;
  beforeAll(async () => {
    api = await startTestApi();
    bookId = (await uploadedBook(api)).id;
  });
  afterAll(() => api.close());

  const start = (key: string, body: unknown = { book_id: bookId }) =>
    post(api, "/runs", body, { "idempotency-key": key });
  const idOf = async (response: Response) => runSchema.parse(await response.json()).id;

  test("a repeated request starts one run and gets the same answer", async () => {
    const first = await start("a");
    const again = await start("a");
    expect(first.headers.get("idempotent-replayed")).toBeNull();
    expect(again.headers.get("idempotent-replayed")).toBe("true");
    expect(again.status).toBe(first.status);
    for (const name of ["location", "retry-after", "content-type", "etag"]) {
      expect(again.headers.get(name)).toBe(first.headers.get(name));
    }
    expect(await again.text()).toBe(await first.text());
  });

  test("without a key every request starts a run", async () => {
    const ids = [
      await post(api, "/runs", { book_id: bookId }),
      await post(api, "/runs", { book_id: bookId }),
    ];
    expect(await idOf(ids[0] as Response)).not.toBe(await idOf(ids[1] as Response));
  });

  test("of many at once one starts a run, and the others get its answer or are told to wait", async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => start("many")));
    const accepted = answers.filter(({ status }) => status === 202);
    expect(answers.every(({ status }) => status === 202 || status === 409)).toBe(true);
    const ids = await Promise.all(accepted.map(idOf));
    expect(new Set(ids).size).toBe(1);
    for (const busy of answers.filter(({ status }) => status === 409)) {
      expect(busy.headers.get("retry-after")).toBe("1");
      expect((await problemOf(busy)).code).toBe("idempotency_in_progress");
    }
  });

  test("what leaves out defaults is the same request as what names them", async () => {
    const first = await start("defaults");
    const again = await start("defaults", { recipes: ["summary"], book_id: bookId, dry_run: false });
    expect(await idOf(again)).toBe(await idOf(first));
  });

  test("the same key for another request is refused", async () => {
    await start("b");
    const response = await start("b", { book_id: bookId, options: { fresh: true } });
    expect(response.status).toBe(422);
    expect((await problemOf(response)).code).toBe("idempotency_mismatch");
  });

  test("the same key on another route is another key", async () => {
    await start("c");
    expect((await upload(api, textBook(20), { "idempotency-key": "c" })).status).toBe(201);
  });

  test("the same key of another user is another key", async () => {
    await using other = await startTestApi();
    const [one, two] = [await other.key("one"), await other.key("two")];
    const { id } = await uploadedBook(other, one);
    const theirs = await uploadedBook(other, two);
    const first = await post(other, "/runs", { book_id: id }, { ...one, "idempotency-key": "k" });
    const second = await post(other, "/runs", { book_id: theirs.id }, { ...two, "idempotency-key": "k" });
    expect(second.headers.get("idempotent-replayed")).toBeNull();
    expect(await idOf(second)).not.toBe(await idOf(first));
  });

  test("quoted and bare are the same key", async () => {
    const first = await start("d e");
    expect(await idOf(await start('"d e"'))).toBe(await idOf(first));
  });

  test.each([[""], ['""'], ["x".repeat(256)], ["k\u00e9y"]])("%j is no key", async (key) => {
    const response = await start(key);
    expect(response.status).toBe(400);
    expect((await problemOf(response)).code).toBe("invalid_idempotency_key");
  });

  test("an upload is the same by its bytes, and the second copy is not kept", async () => {
    const send = (content: string) => upload(api, content, { "idempotency-key": "u" });
    const first = bookSchema.parse(await (await send(textBook(21))).json());
    const again = await send(textBook(21));
    expect(again.status).toBe(201);
    expect(again.headers.get("idempotent-replayed")).toBe("true");
    expect(await again.json()).toMatchObject({ id: first.id });
    expect((await problemOf(await send(textBook(22)))).code).toBe("idempotency_mismatch");
    const { items } = await api.store.books.list("local", { limit: 100, after: null });
    expect(items.filter(({ sha256 }) => sha256 === first.sha256)).toHaveLength(1);
  });

  test("a refusal is kept as well", async () => {
    const { id } = await uploadedBook(api, {}, 23);
    await refuse(api, "local", id, "drm_protected");
    expect((await start("e", { book_id: id })).status).toBe(409);
    const again = await start("e", { book_id: id });
    expect(again.headers.get("idempotent-replayed")).toBe("true");
    expect((await problemOf(again)).code).toBe("book_refused");
  });

  test("an answer that may be another one later is not kept", async () => {
    const { id } = await uploadedBook(api, {}, 24);
    for (let time = 0; time < 2; time++) {
      const response = await start("f", { book_id: id, dry_run: true });
      expect(response.headers.get("idempotent-replayed")).toBeNull();
      expect((await problemOf(response)).code).toBe("book_not_ready");
    }
  });

  test("a request that the store failed in the middle of starts no second run when it comes again", async () => {
    const { id } = await uploadedBook(api, {}, 25);
    const failing = { times: 1 };
    const { runs } = api.store;
    const create = runs.create.bind(runs);
    Object.defineProperty(runs, "create", {
      configurable: true,
      value: async (user: string, run: Run) => {
        await create(user, run);
        if (failing.times-- > 0) throw new StoreUnavailableError("The store went away.");
      },
    });
    const lost = await start("h", { book_id: id });
    expect(lost.status).toBe(503);
    Object.defineProperty(runs, "create", { configurable: true, value: create });
    const found = await start("h", { book_id: id });
    expect(found.status).toBe(202);
    const { items } = await runs.list("local", { bookId: id, limit: 10, after: null });
    expect(items.map((run) => run.id)).toEqual([await idOf(found)]);
    expect(await api.store.steps.get("local", `${id}.parse`)).not.toBeNull();
    // Other requests are other runs, all the same.
    expect((await start("i", { book_id: id })).status).toBe(202);
    expect((await runs.list("local", { bookId: id, limit: 10, after: null })).items).toHaveLength(2);
  });

  test("an address that is written in another way is the same route", async () => {
    const first = await start("j");
    const again = await post(api, "/RUNS/?x=1", { book_id: bookId }, { "idempotency-key": "j" });
    expect(await idOf(again)).toBe(await idOf(first));
  });

  test("a request that never came to its end can be repeated after a minute, and finds its run", async () => {
    let now = Date.now();
    const { openStore } = await import("@mythic/runs/store");
    await using slow = await startTestApi({
      store: await openStore({ dataDir: `${api.directory}/slow`, now: () => now }),
    });
    const { id } = await uploadedBook(slow);
    const body = { book_id: id };
    const first = await post(slow, "/runs", body, { "idempotency-key": "g" });
    expect(first.status).toBe(202);
    // As if the process had been killed before it could keep its answer.
    const fingerprint = (await slow.store.replies.begin("local", "POST /runs g", "x"))?.fingerprint ?? "";
    now += 1;
    await slow.store.dispatch.expireReplies(0);
    await slow.store.replies.begin("local", "POST /runs g", fingerprint);
    const busy = await post(slow, "/runs", body, { "idempotency-key": "g" });
    expect((await problemOf(busy)).code).toBe("idempotency_in_progress");
    now += 61_000;
    const again = await post(slow, "/runs", body, { "idempotency-key": "g" });
    expect(again.status).toBe(202);
    expect(again.headers.get("idempotent-replayed")).toBeNull();
    expect(await idOf(again)).toBe(await idOf(first));
  });
});

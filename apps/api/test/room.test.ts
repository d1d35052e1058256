import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { describe, expect, test } from "@jest/globals";
import { waitFor } from "@mythic/testing/wait";
import { filesOf } from "./stored-files.ts";
import { problemOf, startTestApi, textBook, upload, uploadedBook } from "./test-api.ts";

describe("room for books", () => {
  test("a user's books together have a limit, and deleting one makes room", async () => {
    const bytes = Buffer.byteLength(textBook(1));
    await using api = await startTestApi({ config: { maxUserBytes: 2 * bytes } });
    const first = await uploadedBook(api, {}, 1);
    await uploadedBook(api, {}, 2);
    const full = await upload(api, textBook(3));
    expect(full.status).toBe(413);
    expect((await problemOf(full)).code).toBe("storage_full");
    await fetch(`${api.url}/books/${first.id}`, { method: "DELETE" });
    expect((await upload(api, textBook(3))).status).toBe(201);
  });

  test("uploads that come at the same time share the room", async () => {
    const bytes = Buffer.byteLength(textBook(1));
    await using api = await startTestApi({ config: { maxUserBytes: 3 * bytes } });
    const started = Array.from({ length: 6 }, (_, number) => {
      const request = httpRequest(`${api.url}/books`, { method: "POST" });
      const answered = once(request, "response");
      const text = textBook(number + 1);
      request.write(text.slice(0, -1));
      return { answered, finish: () => request.end(text.slice(-1)) };
    });
    // All have begun, so each has seen the same room, before the first has ended.
    await waitFor(async () => (await fetch(`${api.url}/health/live`)).ok);
    for (const { finish } of started) finish();
    const answers = await Promise.all(started.map(({ answered }) => answered));
    const statuses = answers.map(([response]) => response.resume().statusCode);
    expect(await api.store.books.bytesStored("local")).toBeLessThanOrEqual(3 * bytes);
    expect(statuses.filter((status) => status === 413).length).toBeGreaterThanOrEqual(3);
    const room = 3 - statuses.filter((status) => status === 201).length;
    // One digit, as a book of day 20 is a byte longer.
    for (let number = 7; number < 7 + room; number++) {
      expect((await upload(api, textBook(number))).status).toBe(201);
    }
    expect((await upload(api, textBook(0))).status).toBe(413);
  });

  test("an upload has no more room than books leave that came meanwhile", async () => {
    const bytes = Buffer.byteLength(textBook(1));
    await using api = await startTestApi({ config: { maxUserBytes: bytes } });
    const request = httpRequest(`${api.url}/books`, { method: "POST" });
    const answered = once(request, "response");
    request.flushHeaders();
    await waitFor(async () => (await fetch(`${api.url}/health/live`)).ok);
    expect((await upload(api, textBook(2))).status).toBe(201);
    request.end(textBook(1));
    const [response] = await answered;
    expect(response.statusCode).toBe(413);
    response.resume();
    expect(filesOf(api)).toBe(1);
  });
});

test("the same bytes of two users are two books, and neither touches the other", async () => {
  await using api = await startTestApi();
  const [one, two] = [await api.key("one"), await api.key("two")];
  const mine = await uploadedBook(api, { authorization: one.authorization });
  const theirs = await uploadedBook(api, { authorization: two.authorization });
  expect(theirs.id).not.toBe(mine.id);
  await fetch(`${api.url}/books/${mine.id}`, {
    method: "DELETE",
    headers: { authorization: one.authorization },
  });
  const bytes = await Array.fromAsync(api.store.books.readBytes("two", theirs.id));
  expect(Buffer.concat(bytes).toString()).toBe(textBook(1));
});

import { describe, expect, test } from "@jest/globals";
import type { ApiKey } from "../../src/store.ts";
import { type OpenFresh, storeForAll, storeForEach } from "./bench.ts";
import { ODD_IDS, sha256, unique } from "./samples.ts";

function newKey(more: Partial<ApiKey> = {}): ApiKey {
  const id = unique("key");
  return {
    id,
    user: "someone ☃",
    role: "user",
    sha256: sha256(id),
    lastFour: "wxyz",
    createdAt: new Date(Date.UTC(2030, 0, 1)),
    revokedAt: null,
    ...more,
  };
}

const REPLY = {
  status: 202,
  headers: { "content-type": "application/json", "x.y": "$z" },
  body: '{"a":"☃"}',
};

export function describeKeysAndReplies(openFresh: OpenFresh): void {
  describe("keys", () => {
    const bench = storeForEach(openFresh);

    test("a key is found by its hash alone", async () => {
      const { keys } = bench.store;
      const [one, two] = [newKey(), newKey({ role: "admin" })];
      await keys.create(one);
      await keys.create(two);
      expect(await keys.findBySha256(two.sha256)).toEqual(two);
      expect(await keys.findBySha256(one.id)).toBeNull();
      expect(await keys.list()).toEqual([one, two]);
    });

    test("a revoked key is still found, with the time it was revoked first", async () => {
      const { store, clock } = bench;
      const key = newKey();
      await store.keys.create(key);
      clock.advance(5_000);
      expect(await store.keys.revoke(key.id)).toBe(true);
      const revoked = { ...key, revokedAt: new Date(clock.at) };
      expect(await store.keys.findBySha256(key.sha256)).toEqual(revoked);
      clock.advance(5_000);
      expect(await store.keys.revoke(key.id)).toBe(true);
      expect(await store.keys.list()).toEqual([revoked]);
    });

    test("a key that is not there cannot be revoked", async () => {
      for (const id of ODD_IDS) {
        expect(await bench.store.keys.revoke(id)).toBe(false);
        expect(await bench.store.keys.findBySha256(id)).toBeNull();
      }
    });

    test("the first key closes the door for good, revoked or not", async () => {
      const { keys } = bench.store;
      expect(await keys.wereEverMade()).toBe(false);
      const key = newKey();
      await keys.create(key);
      expect(await keys.wereEverMade()).toBe(true);
      await keys.revoke(key.id);
      expect(await keys.wereEverMade()).toBe(true);
    });
  });

  describe("secrets", () => {
    const bench = storeForAll(openFresh);

    test("a secret is made when it is asked for first, and is the same ever after", async () => {
      const { secrets } = bench.store;
      const secret = await secrets.obtain("one");
      expect(Buffer.from(secret, "base64url")).toHaveLength(32);
      expect(await secrets.obtain("one")).toBe(secret);
      expect(await secrets.obtain("two")).not.toBe(secret);
    });

    test("all who ask at the same time get the same", async () => {
      const all = await Promise.all(Array.from({ length: 20 }, () => bench.store.secrets.obtain("for all")));
      expect(new Set(all).size).toBe(1);
    });

    test("another store has another", async () => {
      const other = await openFresh();
      const theirs = await other.store.secrets.obtain("one");
      await other.store[Symbol.asyncDispose]();
      expect(theirs).not.toBe(await bench.store.secrets.obtain("one"));
    });
  });

  describe("replies", () => {
    const bench = storeForAll(openFresh);

    test("the first request gets the key, and the second what is there", async () => {
      const { store, clock } = bench;
      const user = unique("user");
      expect(await store.replies.begin(user, "key", "print")).toBeNull();
      expect(await store.replies.begin(user, "key", "print")).toMatchObject({
        fingerprint: "print",
        status: null,
        createdAt: new Date(clock.at),
      });
      await store.replies.finish(user, "key", REPLY);
      expect(await store.replies.begin(user, "key", "other print")).toEqual({
        fingerprint: "print",
        ...REPLY,
        createdAt: new Date(clock.at),
      });
    });

    test("of many first requests at once one gets the key", async () => {
      const user = unique("user");
      const begun = await Promise.all(
        Array.from({ length: 10 }, () => bench.store.replies.begin(user, "key", "print")),
      );
      expect(begun.filter((reply) => reply === null)).toHaveLength(1);
    });

    test("an abandoned key can be had again", async () => {
      const { replies } = bench.store;
      const user = unique("user");
      await replies.begin(user, "key", "print");
      await replies.abandon(user, "key");
      expect(await replies.begin(user, "key", "other")).toBeNull();
    });

    test("a request at work for over a minute is taken over, by one", async () => {
      const { store, clock } = bench;
      const user = unique("user");
      await store.replies.begin(user, "key", "print");
      clock.advance(60_000);
      expect(await store.replies.begin(user, "key", "second")).toMatchObject({ fingerprint: "print" });
      clock.advance(1);
      const begun = await Promise.all(
        Array.from({ length: 5 }, () => store.replies.begin(user, "key", "third")),
      );
      expect(begun.filter((reply) => reply === null)).toHaveLength(1);
      expect(await store.replies.begin(user, "key", "fourth")).toMatchObject({
        fingerprint: "third",
        status: null,
        createdAt: new Date(clock.at),
      });
    });

    test("who was taken over neither changes nor removes the answer of who took over", async () => {
      const { store, clock } = bench;
      const user = unique("user");
      await store.replies.begin(user, "key", "print");
      clock.advance(60_001);
      await store.replies.begin(user, "key", "print");
      await store.replies.finish(user, "key", { status: 201, headers: {}, body: "first" });
      await store.replies.finish(user, "key", { status: 500, headers: {}, body: "late" });
      await store.replies.abandon(user, "key");
      expect(await store.replies.begin(user, "key", "print")).toMatchObject({ status: 201, body: "first" });
    });

    test("a finished reply is never taken over", async () => {
      const { store, clock } = bench;
      const user = unique("user");
      await store.replies.begin(user, "key", "print");
      await store.replies.finish(user, "key", REPLY);
      clock.advance(3_600_000);
      expect(await store.replies.begin(user, "key", "print")).toMatchObject({
        status: 202,
        body: REPLY.body,
      });
    });

    test("replies kept longer are removed, and no others", async () => {
      const { store, clock } = bench;
      const user = unique("user");
      await store.replies.begin(user, "old", "print");
      await store.replies.finish(user, "old", REPLY);
      clock.advance(10_000);
      await store.replies.begin(user, "new", "print");
      await store.replies.finish(user, "new", REPLY);
      clock.advance(1_000);
      await store.dispatch.expireReplies(5_000);
      expect(await store.replies.begin(user, "old", "print")).toBeNull();
      expect(await store.replies.begin(user, "new", "print")).toMatchObject({ status: 202 });
    });

    test("the same key of another user is another key", async () => {
      const { replies } = bench.store;
      const [user, other] = [unique("user"), unique("user")];
      await replies.begin(user, "key", "print");
      expect(await replies.begin(other, "key", "theirs")).toBeNull();
      await replies.finish(other, "key", REPLY);
      expect(await replies.begin(user, "key", "print")).toMatchObject({ fingerprint: "print", status: null });
      await replies.abandon(other, "key");
      expect(await replies.begin(user, "key", "print")).not.toBeNull();
    });

    test("odd keys are keys like any other", async () => {
      const { replies } = bench.store;
      const user = unique("user");
      for (const key of ODD_IDS.filter((odd) => odd !== "")) {
        expect(await replies.begin(user, key, key)).toBeNull();
        expect(await replies.begin(user, key, key)).not.toBeNull();
        await replies.finish(user, key, REPLY);
        await replies.abandon(user, key);
      }
    });
  });
}

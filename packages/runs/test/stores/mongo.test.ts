import { randomBytes } from "node:crypto";
import { describe, expect, test } from "@jest/globals";
import { freshDatabase, mongoUrl } from "@mythic/testing/mongo";
import { waitFor } from "@mythic/testing/wait";
import { GridFSBucket } from "mongodb";
import type { Store } from "../../src/store.ts";
import { Connection } from "../../src/stores/mongo/connection.ts";
import { INDEXES } from "../../src/stores/mongo/indexes.ts";
import { ledgerToVersion2 } from "../../src/stores/mongo/ledger-to-version-2.ts";
import { migrate, schemaIn } from "../../src/stores/mongo/migrations.ts";
import { openMongoStore } from "../../src/stores/mongo/open-mongo-store.ts";
import { ServerClock } from "../../src/stores/mongo/server-clock.ts";
import type { OpenFresh } from "./bench.ts";
import {
  chapter,
  claimedStep,
  collect,
  createdRun,
  newStep,
  PARSED,
  pieces,
  readyBook,
  storedBook,
  unique,
} from "./samples.ts";
import { describeStore } from "./store.suite.ts";
import { expectTakenForward, VERSION_1_CALLS } from "./version-1.ts";

const server = await mongoUrl();

/** A store and a second look at what it keeps, on a database of their own. */
async function openBoth(): Promise<AsyncDisposable & { store: Store; behind: Connection; url: string }> {
  const url = freshDatabase(server ?? "");
  const stack = new AsyncDisposableStack();
  const store = stack.use(await openMongoStore({ url }));
  const behind = stack.use(await Connection.open({ url }));
  return { store, behind, url, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

async function setVersion(connection: Connection, version: number): Promise<void> {
  await schemaIn(connection).updateOne({ _id: "schema" }, { $set: { version } });
}

function describeStart(): void {
  describe("the start", () => {
    test("processes that start at once on an empty database all find it ready", async () => {
      const url = freshDatabase(server ?? "");
      const stores = await Promise.all(Array.from({ length: 6 }, () => openMongoStore({ url })));
      for (const store of stores) await store.books.list("user", { limit: 1, after: null });
      for (const store of stores) await store[Symbol.asyncDispose]();
      await using connection = await Connection.open({ url });
      expect(await schemaIn(connection).find().toArray()).toMatchObject([{ version: 2, owner: null }]);
    });

    test("every index is there, and one that was dropped comes back", async () => {
      await using both = await openBoth();
      await both.behind.db.collection("steps").dropIndex("due");
      await (await openMongoStore({ url: both.url }))[Symbol.asyncDispose]();
      for (const [collection, wanted] of Object.entries(INDEXES)) {
        const found = await both.behind.db.collection(collection).indexes();
        const described = found.map(({ name, key, unique: only }) => ({ name, key, unique: only ?? false }));
        for (const { name, key, unique: only } of wanted) {
          expect(described).toContainEqual({ name, key, unique: only ?? false });
        }
      }
    });

    test("a database that a newer program wrote is refused, and left as it is", async () => {
      await using both = await openBoth();
      await setVersion(both.behind, 7);
      await expect(openMongoStore({ url: both.url })).rejects.toMatchObject({
        code: "store_version",
        found: 7,
        supported: 2,
      });
      expect(await schemaIn(both.behind).findOne({ _id: "schema" })).toMatchObject({ version: 7 });
    });

    test("migrations run once and in order, however many processes start", async () => {
      await using both = await openBoth();
      const ran: string[] = [];
      const step = (name: string) => async (connection: Connection) => {
        ran.push(`${name} begins`);
        await connection.ping();
        ran.push(`${name} ends`);
      };
      const migrations = [step("two"), step("three")];
      await setVersion(both.behind, 1);
      await Promise.all(Array.from({ length: 4 }, () => migrate(both.behind, migrations)));
      expect(ran).toEqual(["two begins", "two ends", "three begins", "three ends"]);
      expect(await schemaIn(both.behind).findOne({ _id: "schema" })).toMatchObject({ version: 3 });
      await expect(openMongoStore({ url: both.url })).rejects.toMatchObject({ code: "store_version" });
    });

    test("a migration that failed is begun again, and those before it are not", async () => {
      await using both = await openBoth();
      const ran: string[] = [];
      let broken = true;
      const migrations = [
        () => Promise.resolve(void ran.push("two")),
        () => {
          ran.push("three");
          return broken ? Promise.reject(new Error("cut off")) : Promise.resolve();
        },
      ];
      await setVersion(both.behind, 1);
      await expect(migrate(both.behind, migrations)).rejects.toThrow("cut off");
      broken = false;
      await migrate(both.behind, migrations);
      expect(ran).toEqual(["two", "three", "three"]);
    });

    test("a migration is waited for while its lease holds, and taken over when it ran out", async () => {
      await using both = await openBoth();
      const held = { version: 1, owner: "killed", leaseUntil: both.behind.ago(-700) };
      await schemaIn(both.behind).updateOne({ _id: "schema" }, { $set: held });
      const began: Date[] = [];
      await migrate(both.behind, [() => Promise.resolve(void began.push(both.behind.now()))]);
      expect(began).toHaveLength(1);
      expect(began[0]?.getTime()).toBeGreaterThanOrEqual(held.leaseUntil.getTime());
    });

    test("a database of version 1 is taken forward, also when that was stopped in the midst, and its rows mean what they meant", async () => {
      const url = freshDatabase(server ?? "");
      await using behind = await Connection.open({ url });
      const ledger = behind.db.collection<{ _id: string }>("ledger");
      const { db } = behind;
      await db.collection<{ _id: string }>("schema").insertOne({
        _id: "schema",
        ...{ version: 1, owner: null, leaseUntil: new Date(0) },
      });
      await ledger.createIndexes([
        { name: "of_run", key: { runId: 1, sentAt: 1, _id: 1 } },
        { name: "answers", key: { user: 1, digest: 1, settledAt: -1 } },
        { name: "on_the_way", key: { sentAt: 1 }, partialFilterExpression: { state: "sent" } },
      ]);
      await ledger.insertMany(VERSION_1_CALLS.map(({ id, ...call }) => ({ _id: id, ...call })));
      const cutOff = () => Promise.reject(new Error("cut off"));
      await expect(migrate(behind, [ledgerToVersion2, cutOff])).rejects.toThrow("cut off");
      // Where a kill leaves it: some rows forward, one of them not yet, and the version as it was.
      await setVersion(behind, 1);
      const [{ id, ...call }] = VERSION_1_CALLS;
      await ledger.replaceOne({ _id: id }, call);
      await using store = await openMongoStore({ url });
      await expectTakenForward(store);
      expect(await schemaIn(behind).findOne({ _id: "schema" })).toMatchObject({ version: 2 });
      expect((await ledger.indexes()).map(({ name }) => name)).not.toContain("answers");
      expect(await ledger.countDocuments({ digest: { $exists: true } })).toBe(0);
    });

    test("a ledger of more rows than one piece is taken forward whole", async () => {
      await using both = await openBoth();
      const ledger = both.behind.db.collection<{ _id: string }>("ledger");
      const { id: _, ...call } = VERSION_1_CALLS[0];
      const rows = Array.from({ length: 1_001 }, (_row, at) => ({ _id: `call.${at}`, ...call }));
      await ledger.insertMany(rows);
      await ledgerToVersion2(both.behind);
      expect(await both.store.ledger.ofRun(call.user, call.runId)).toHaveLength(1_001);
      expect(await ledger.countDocuments({ day: { $exists: false } })).toBe(0);
    });

    test("the database is the one that the URL names, unless another is given", async () => {
      const database = `test_${randomBytes(8).toString("hex")}`;
      const url = freshDatabase(server ?? "");
      await using store = await openMongoStore({ url, database });
      const run = await createdRun(store, "user");
      await using named = await Connection.open({ url });
      await using given = await Connection.open({ url, database });
      expect(await named.db.collection("runs").countDocuments()).toBe(0);
      expect(await given.db.collection("runs").findOne({ user: "user" })).toMatchObject({ _id: run.id });
    });

    test("a wrong password is not taken for a server that cannot be reached", async () => {
      const url = new URL(freshDatabase(server ?? ""));
      url.username = "nobody";
      url.password = "wrong-password";
      url.searchParams.set("authSource", "admin");
      await expect(openMongoStore({ url: url.href })).rejects.toMatchObject({
        codeName: "AuthenticationFailed",
      });
    });
  });
}

function describeRows(): void {
  describe("what is kept", () => {
    test("a file can be read by any tool that knows GridFS", async () => {
      await using both = await openBoth();
      const content = randomBytes(700_001);
      await both.store.books.storeBytes("user", "book", pieces(content));
      const bucket = new GridFSBucket(both.behind.db, { bucketName: "files" });
      const read = await collect(bucket.openDownloadStreamByName("book"));
      expect(read.equals(content)).toBe(true);
    });

    test("an upload that broke off leaves no row", async () => {
      await using both = await openBoth();
      const upload = async function* (): AsyncGenerator<Uint8Array> {
        yield* pieces(randomBytes(5_000_000));
        throw new Error("the client went away");
      };
      await expect(both.store.books.storeBytes("user", "book", upload())).rejects.toThrow("went away");
      for (const collection of ["files.files", "files.chunks", "uploads"]) {
        expect(await both.behind.db.collection(collection).countDocuments()).toBe(0);
      }
    });

    test("chunks of an upload whose process was killed are collected", async () => {
      await using both = await openBoth();
      const killed = async function* (): AsyncGenerator<Uint8Array> {
        yield* pieces(randomBytes(5_000_000));
        await both.behind.db.collection("killed").insertOne({});
        await new Promise(() => undefined);
      };
      void both.store.books.storeBytes("user", "book", killed());
      const chunks = both.behind.db.collection("files.chunks");
      const reached = async () => (await both.behind.db.collection("killed").countDocuments()) > 0;
      await waitFor(reached, { what: "the upload to be under way" });
      expect(await chunks.countDocuments()).toBeGreaterThan(0);
      expect(await both.store.dispatch.collectOrphans(60_000)).toBe(0);
      expect(await both.store.dispatch.collectOrphans(-60_000)).toBe(1);
      expect(await chunks.countDocuments()).toBe(0);
    });

    test("a chapter larger than a document of MongoDB comes back as it was, and a shorter one replaces it", async () => {
      await using both = await openBoth();
      const { id } = await storedBook(both.store, "user");
      // An odd unit first, so that a cut at an even offset would fall into a pair of surrogates.
      const text = `x${"𝔐☃ü ".repeat(3_600_000)}`;
      expect(Buffer.byteLength(text)).toBeGreaterThan(16 * 1024 * 1024);
      await both.store.books.saveChapters("user", id, 1, [chapter(0, { text }), chapter(1)]);
      await both.store.books.markReady("user", id, 1, PARSED);
      const read = await both.store.books.chapter("user", id, 0);
      expect(read?.text === text).toBe(true);
      expect(await both.store.books.outlines("user", id)).toHaveLength(2);
      await both.store.books.saveChapters("user", id, 1, [chapter(0, { text: "short" })]);
      expect((await both.store.books.chapter("user", id, 0))?.text).toBe("short");
    }, 30_000);

    test("who lost the fence leaves no result behind", async () => {
      await using both = await openBoth();
      const step = await claimedStep(both.store, "user");
      await both.store.steps.handBack(step.id, step.fence);
      expect(await both.store.steps.complete(step.id, step.fence, { value: 1, reusedAnswers: 0 })).toBe(
        false,
      );
      expect(await both.behind.db.collection("results").countDocuments()).toBe(0);
    });

    test("an outcome handed in once more, as after a lost answer, is accepted, and another one is not", async () => {
      await using both = await openBoth();
      const { steps } = both.store;
      const step = await claimedStep(both.store, "user");
      const outcome = { value: { text: "paid for" }, reusedAnswers: 0 };
      expect(await steps.complete(step.id, step.fence, outcome)).toBe(true);
      expect(await steps.complete(step.id, step.fence, outcome)).toBe(true);
      expect(await steps.complete(step.id, step.fence, { ...outcome, value: "other" })).toBe(false);
      expect(await steps.results("user", [step.id])).toMatchObject([{ value: outcome.value }]);
    });

    test("nothing of a deleted book stays but its runs and the ledger", async () => {
      await using both = await openBoth();
      const { id: bookId } = await readyBook(both.store, "user");
      const step = await claimedStep(both.store, "user", { bookId });
      await both.store.steps.handBack(step.id, step.fence);
      const again = await both.store.steps.claim(step.id, "worker", 1_000);
      await both.store.steps.complete(step.id, again?.fence ?? 0, { value: 1, reusedAnswers: 0 });
      await both.store.books.delete("user", bookId);
      expect(await both.store.dispatch.purgeDeleted(1)).toBe(1);
      // A worker that lost its claim and does not know yet.
      await both.behind.db.collection("chapters").insertOne({ bookId, user: "user", edition: 1 });
      await both.store.dispatch.collectOrphans(-60_000);
      for (const { name } of await both.behind.db.listCollections({}, { nameOnly: true }).toArray()) {
        const left = await both.behind.db.collection(name).countDocuments();
        expect({ name, left }).toEqual({ name, left: name === "schema" ? 1 : 0 });
      }
    });

    test("a window is found for everyone behind users who have far more than theirs", async () => {
      await using both = await openBoth();
      const loud = [unique("user"), unique("user")];
      for (const user of loud) {
        await both.store.steps.insert(
          user,
          Array.from({ length: 300 }, () => newStep(user)),
        );
      }
      const quiet = [unique("user"), unique("user"), unique("user")];
      for (const user of quiet) await both.store.steps.insert(user, [newStep(user)]);
      const due = await both.store.dispatch.due(50, 10, 1_000);
      const ofEach = (user: string): number => due.filter((step) => step.user === user).length;
      expect([...loud, ...quiet].map(ofEach)).toEqual([10, 10, 1, 1, 1]);
      expect(new Set(due.map((step) => step.id)).size).toBe(23);
    });
  });
}

describe("the clock", () => {
  test("time is the primary's, as it said in a reply that came soon", () => {
    const clock = new ServerClock();
    const ahead = (ms: number): Date => new Date(Date.now() + ms);
    const off = (): number => clock.now() - Date.now();
    // What passes between two looks at a clock, on a busy machine.
    const little = 5_000;
    expect(Math.abs(off())).toBeLessThan(little);
    clock.observe({ isWritablePrimary: true, localTime: ahead(3_600_000) }, 2);
    expect(Math.abs(off() - 3_600_001)).toBeLessThan(little);
    clock.observe({ isWritablePrimary: true, localTime: ahead(0) }, 30_000);
    clock.observe({ isWritablePrimary: false, localTime: ahead(0) }, 1);
    clock.observe({ isWritablePrimary: true }, 1);
    expect(Math.abs(off() - 3_600_001)).toBeLessThan(little);
  });
});

if (server !== null) {
  const open: OpenFresh = async (options = {}) => {
    const url = freshDatabase(server);
    return { store: await openMongoStore({ url, ...options }), spawnArgs: [url, ""] };
  };
  describeStore("mongodb", open);
  describeStart();
  describeRows();
}

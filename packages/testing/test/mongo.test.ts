import { expect, test } from "@jest/globals";
import { MongoClient } from "mongodb";
import { freshDatabase, mongoUrl, startMongo } from "../src/mongo.ts";

test("the shared MongoDB takes durable writes in a database of the test's own", async () => {
  const url = await mongoUrl();
  expect(await mongoUrl()).toBe(url);
  if (url === null) return;
  const [first, second] = [freshDatabase(url), freshDatabase(url)];
  expect(first).not.toBe(second);
  await using client = new MongoClient(first);
  const durable = { writeConcern: { w: "majority", journal: true } } as const;
  await client.db().collection("things").insertOne({ name: "one" }, durable);
  expect(await client.db().collection("things").countDocuments()).toBe(1);
  expect(client.db().databaseName).toMatch(/^test_[0-9a-f]{16}$/);
  await client.db().dropDatabase();
});

test("an own MongoDB can be frozen and killed, and comes back with its data", async () => {
  await using mongo = await startMongo();
  if (mongo === null) return;
  const url = freshDatabase(mongo.url);
  const options = { socketTimeoutMS: 500, serverSelectionTimeoutMS: 500, connectTimeoutMS: 500 };
  const durable = { writeConcern: { w: "majority", journal: true } } as const;
  {
    await using client = new MongoClient(url, options);
    await client.db().collection("things").insertOne({ name: "one" }, durable);
    await mongo.pause();
    await expect(client.db().collection("things").countDocuments()).rejects.toThrow();
    await mongo.resume();
  }
  await mongo.stop();
  await mongo.start();
  await using client = new MongoClient(url, options);
  expect(await client.db().collection("things").countDocuments()).toBe(1);
}, 120_000);

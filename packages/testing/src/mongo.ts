import { randomBytes } from "node:crypto";
import { MongoClient } from "mongodb";
import { type DockerServer, missingDocker, startContainer } from "./docker.ts";
import { freePort } from "./free-port.ts";
import { askSharedService, tellNotRun } from "./shared-services.ts";
import { waitFor } from "./wait.ts";

/** An own MongoDB server (a replica set of one node), to be hurt by a test. */
export interface TestMongo {
  readonly url: string;
  /** Freezes the server: connections stay open and nothing answers. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Kills the server. */
  stop(): Promise<void>;
  /** Starts it again on the same port, with its data. */
  start(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const IMAGE = "mongo:8";

/**
 * The MongoDB that all tests of a workspace share: `TEST_MONGODB_URL`, else a container that the test run starts.
 * Null where neither is to be had: one line on standard error says so, and where `CI` is set it is an error.
 */
export async function mongoUrl(): Promise<string | null> {
  const url = process.env["TEST_MONGODB_URL"];
  if (url) return url;
  const { url: shared, reason } = await askSharedService("mongo");
  if (shared === null) await leaveOut(reason);
  return shared;
}

/** The same server with a database of the test's own in the path. The database is made by the first write. */
export function freshDatabase(url: string): string {
  const fresh = new URL(url);
  fresh.pathname = `/test_${randomBytes(8).toString("hex")}`;
  return fresh.href;
}

/** Starts a MongoDB server of the test's own. Null where none is to be had, as `mongoUrl` is. */
export async function startMongo(): Promise<TestMongo | null> {
  const mongo = await findMongo();
  if ("reason" in mongo) {
    await leaveOut(mongo.reason);
    return null;
  }
  return mongo;
}

/** Starts a server, or says why it cannot. */
export async function findMongo(): Promise<TestMongo | { readonly reason: string }> {
  const noDocker = await missingDocker();
  if (noDocker !== null) return { reason: noDocker };
  try {
    return await runMongoContainer();
  } catch (error) {
    return { reason: error instanceof Error ? error.message : String(error) };
  }
}

async function leaveOut(reason: string): Promise<void> {
  if (process.env["CI"]) throw new Error(`MongoDB tests must run in CI: ${reason}`);
  await tellNotRun(reason);
}

async function runMongoContainer(): Promise<TestMongo> {
  const { MongoDBContainer } = await import("@testcontainers/mongodb");
  const port = await freePort();
  const container = await startContainer(
    new MongoDBContainer(IMAGE).withExposedPorts({ container: 27017, host: port }).withHealthCheck({
      test: ["CMD-SHELL", "mongosh --quiet --eval 'try { rs.status() } catch { rs.initiate() }'"],
      interval: 500,
      timeout: 20_000,
      retries: 100,
    }),
  );
  // The set's own name for its node is an address inside the container, so the client must not follow it.
  const url = `mongodb://${container.host}:${port}/?directConnection=true`;
  await untilWritable(url);
  return ownMongo(container, url);
}

function ownMongo(container: DockerServer, url: string): TestMongo {
  return {
    url,
    pause: () => container.pause(),
    resume: () => container.resume(),
    stop: () => container.stop(),
    async start() {
      await container.start();
      await untilWritable(url);
    },
    [Symbol.asyncDispose]: () => container.remove(),
  };
}

async function untilWritable(url: string): Promise<void> {
  await waitFor(
    async () => {
      await using client = new MongoClient(url, { serverSelectionTimeoutMS: 1000, connectTimeoutMS: 1000 });
      const hello = await client.db("admin").command({ hello: 1 });
      return hello["isWritablePrimary"] === true;
    },
    { what: `MongoDB to take writes at ${url}`, timeoutMs: 60_000, everyMs: 100 },
  );
}

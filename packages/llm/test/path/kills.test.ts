import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { type FakeOpenAi, startFakeOpenAi } from "@mythic/testing/fake-openai";
import { startProcess, type TestProcess } from "@mythic/testing/process";
import { redisUrl } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import { Redis } from "ioredis";
import { MemoryLedger } from "../memory-ledger.ts";
import { type Halt, type LedgerService, serveLedger } from "./ledger-service.ts";

const LEASE_MS = 1_000;

let stack: AsyncDisposableStack;
let fake: FakeOpenAi;
let ledger: MemoryLedger;
let service: LedgerService;
let namespace: string;
let redis: string | null;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  fake = stack.use(await startFakeOpenAi());
  ledger = new MemoryLedger();
  ledger.now = new Date();
  service = stack.use(await serveLedger(ledger));
  namespace = `test-${randomUUID()}`;
  redis = await redisUrl();
});
afterEach(() => stack.disposeAsync());

type Kind = "step" | "stream";

let processes = 0;

async function start(kind: Kind): Promise<TestProcess> {
  processes += 1;
  const file = join(import.meta.dirname, "caller-main.ts");
  const env = {
    REDIS: redis ?? "",
    BASE_URL: fake.baseUrl,
    LEDGER: service.url,
    NAMESPACE: namespace,
    LEASE_MS: String(LEASE_MS),
    KIND: kind,
    NAME: `c${processes}`,
  };
  return stack.use(await startProcess(file, { env, ready: /^ready$/ }));
}

/** Source and text of what a process got. */
async function answerOf(process: TestProcess): Promise<readonly [source: string, text: string]> {
  const [, source = "", text = ""] = await process
    .line(/^answer (\S+) (.+)$/, 20_000)
    .catch((error: unknown) => {
      throw new Error(`It said: ${process.lines.join("\n")}`, { cause: error });
    });
  return [source, text];
}

async function untilWaits(process: TestProcess): Promise<void> {
  await process.line(/^waits answer_in_flight$/);
}

/** Resolves when so many processes listen to the flight. */
async function untilFollowed(by: number): Promise<void> {
  const client = new Redis(redis ?? "");
  try {
    await waitFor(async () => {
      const channels = (await client.pubsub("CHANNELS", `${namespace}:flight:*`)) as string[];
      const [channel = ""] = channels;
      const [, count] = await client.pubsub("NUMSUB", channel);
      return Number(count) >= by;
    });
  } finally {
    client.disconnect();
  }
}

/** Where a leader is killed, and how many calls there have been by then. */
interface Point {
  readonly where: string;
  readonly halt: Halt | null;
  readonly sent: 0 | 1;
}

const POINTS: readonly Point[] = [
  { where: "before its call is in the ledger", halt: { method: "open", when: "before" }, sent: 0 },
  { where: "before its call is sent", halt: { method: "open", when: "after" }, sent: 0 },
  { where: "in mid-stream", halt: null, sent: 1 },
  {
    where: "after the answer, before it is in the ledger",
    halt: { method: "settle", when: "before" },
    sent: 1,
  },
  { where: "when the answer is in the ledger", halt: { method: "settle", when: "after" }, sent: 1 },
];

/** Starts a leader and resolves when it is there. In mid-stream it hangs for good. */
async function startUntil({ halt, sent }: Point, kind: Kind): Promise<TestProcess> {
  const reached = halt === null ? null : service.haltOnce(halt);
  const after = kind === "stream" ? 900 : 40;
  if (halt === null) fake.script({ times: 1, does: { kind: "hang", after } });
  const leader = await start(kind);
  if (reached !== null) await reached;
  else if (kind === "stream") await leader.line(/^read \S+/);
  await waitFor(() => fake.calls().length === sent);
  return leader;
}

const states = () => [...ledger.rows.values()].map(({ state }) => state);

describe("a leader of streamed callers that is killed", () => {
  test.each(POINTS)("$where is followed by one other: one more call, and all get the same", async (point) => {
    const leader = await startUntil(point, "stream");
    const followers = await Promise.all([start("stream"), start("stream")]);
    await untilFollowed(2);
    leader.signal("SIGKILL");
    const answers = await Promise.all(followers.map(answerOf));
    expect(answers.map(([source]) => source).sort()).toEqual(["follower", "leader"]);
    expect(new Set(answers.map(([, text]) => text)).size).toBe(1);
    expect(fake.calls()).toHaveLength(point.sent + 1);
    for (const { lines } of followers) {
      const read = lines.findLast((line) => line.startsWith("read "));
      expect(read?.slice("read ".length).split("|").at(-1)).toBe(answers[0]?.[1]);
    }
    expect(states().filter((state) => state === "sent").length).toBeLessThanOrEqual(1);
    expect(states().at(-1)).toBe("answered");
  });

  test("when its answer is there for all costs nothing", async () => {
    const leader = await start("stream");
    await answerOf(leader);
    const other = await start("stream");
    leader.signal("SIGKILL");
    expect((await answerOf(other))[0]).toMatch(/^(?:l1|redis)$/);
    expect(fake.calls()).toHaveLength(1);
  });

  test("again and again costs one call more each time", async () => {
    fake.script({ times: 3, does: { kind: "hang", after: 900 } });
    for (let kills = 0; kills < 3; kills += 1) {
      const leader = await start("stream");
      await waitFor(() => fake.calls().length === kills + 1, { timeoutMs: 15_000 });
      leader.signal("SIGKILL");
      await leader.ended();
    }
    const [source] = await answerOf(await start("stream"));
    expect(source).toBe("leader");
    expect(fake.calls()).toHaveLength(4);
  });
});

describe("a step whose process is killed", () => {
  /** What the ledger has is given to the next step, which so makes no call more. */
  const isPaid = ({ halt }: Point) => halt?.method === "settle" && halt.when === "after";

  test.each(POINTS)("$where is replaced by those that came back: one more call at most", async (point) => {
    const leader = await startUntil(point, "step");
    const others = await Promise.all([start("step"), start("step")]);
    if (!isPaid(point)) for (const other of others) await untilWaits(other);
    leader.signal("SIGKILL");
    const answers = await Promise.all(others.map(answerOf));
    expect(new Set(answers.map(([, text]) => text)).size).toBe(1);
    expect(answers.filter(([source]) => source === "leader")).toHaveLength(isPaid(point) ? 0 : 1);
    expect(fake.calls()).toHaveLength(isPaid(point) ? 1 : point.sent + 1);
  });

  test.each(POINTS)(
    "$where, without Redis, is replaced by the next: one more call at most",
    async (point) => {
      redis = null;
      const leader = await startUntil(point, "step");
      leader.signal("SIGKILL");
      await leader.ended();
      const [source] = await answerOf(await start("step"));
      expect(source).toBe(isPaid(point) ? "ledger" : "leader");
      expect(fake.calls()).toHaveLength(isPaid(point) ? 1 : point.sent + 1);
    },
  );

  test("together with Redis being wiped costs no call more than the kill", async () => {
    const leader = await startUntil(POINTS[4] as Point, "step");
    leader.signal("SIGKILL");
    await leader.ended();
    const client = new Redis(redis ?? "");
    // As a wiped Redis: the shared one may not be.
    const keys = await client.keys(`*${namespace}*`);
    if (keys.length > 0) await client.del(keys);
    client.disconnect();
    expect((await answerOf(await start("step")))[0]).toBe("ledger");
    expect(fake.calls()).toHaveLength(1);
  });
});

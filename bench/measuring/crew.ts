import { setTimeout as pause } from "node:timers/promises";
import { startRedis } from "@mythic/testing/redis";
import { Redis } from "ioredis";
import type { Bench } from "../bench.ts";
import type { AnswerCallersOrders, AnswerCallersSettings, AskedResult } from "../children/answer-callers.ts";
import { makeDataDir } from "./api.ts";
import type { Child } from "./child.ts";
import { sharedNow } from "./clock.ts";
import { sendHop } from "./hop.ts";
import { median } from "./statistics.ts";

/** For all processes to have read the order. */
const NOTICE_MS = 50;
/** Messages that a hop is the median of. All processes are idle before each. */
const HOPS = 20;
const HOP_PAUSE_MS = 10;

export interface CrewOptions extends Pick<AnswerCallersSettings, "contender" | "tiers" | "baseUrl"> {
  readonly processes: number;
}

/** Processes that ask a model through the same contender, with a Redis and a store of their own. */
export class Crew implements AsyncDisposable {
  readonly #stack: AsyncDisposableStack;
  readonly #members: readonly Child<AnswerCallersOrders>[];
  readonly #publisher: Redis;

  private constructor(
    stack: AsyncDisposableStack,
    members: readonly Child<AnswerCallersOrders>[],
    publisher: Redis,
  ) {
    this.#stack = stack;
    this.#members = members;
    this.#publisher = publisher;
  }

  static async gather(bench: Bench, { processes, ...options }: CrewOptions): Promise<Crew> {
    await using stack = new AsyncDisposableStack();
    const redis = stack.use(await startRedis());
    const dataDir = stack.use(await makeDataDir());
    const settings: AnswerCallersSettings = { ...options, redisUrl: redis.url, dataDir: dataDir.path };
    const start = async () => stack.use(await bench.child<AnswerCallersOrders>("answer-callers", settings));
    // It makes the store for the others.
    const first = await start();
    const members = [first, ...(await Promise.all(Array.from({ length: processes - 1 }, start)))];
    const publisher = new Redis(redis.url);
    stack.defer(() => publisher.disconnect());
    return new Crew(stack.move(), members, publisher);
  }

  /** Has each process ask its own prompts with so many callers. Any error of a call is thrown. */
  async ask(
    prompts: (process: number) => readonly string[],
    how: { readonly callers: number; readonly streamed: boolean },
  ): Promise<readonly AskedResult[]> {
    const beginsAt = sharedNow() + NOTICE_MS;
    const results = await Promise.all(
      this.#members.map((member, at) => member.order("ask", { ...how, prompts: prompts(at), beginsAt })),
    );
    const errors = results.flatMap((result) => result.errors);
    if (errors.length > 0) throw new Error(`${errors.length} calls failed, the first with: ${errors[0]}`);
    return results;
  }

  /** How long a message takes from one process to the last of them all, in milliseconds. */
  async hopMs(): Promise<number> {
    const listening = this.#members.map((member) => member.order("hops", { messages: HOPS }));
    for (let sent = 0; sent < HOPS; sent++) {
      await pause(HOP_PAUSE_MS);
      await sendHop(this.#publisher);
    }
    const hops = await Promise.all(listening);
    return median(Array.from({ length: HOPS }, (_, at) => Math.max(...hops.map((times) => times[at] ?? 0))));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

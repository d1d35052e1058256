import { join } from "node:path";
import { inspect } from "node:util";
import { startMongo, type TestMongo } from "@mythic/testing/mongo";
import { startRedis } from "@mythic/testing/redis";
import { Redis } from "ioredis";
import { type Child, startChild } from "./measuring/child.ts";
import type { Orders } from "./measuring/orders.ts";
import type { Figure } from "./row.ts";

export interface BenchOptions {
  readonly rounds: number;
  /** The contenders to measure; null for all. */
  readonly only: readonly string[] | null;
  /** Only to show that every row still runs: its figures mean nothing. */
  readonly isSmoke: boolean;
}

/** What a row works with. */
export class Bench implements AsyncDisposable {
  /** How many samples each figure has. */
  readonly rounds: number;
  readonly #only: readonly string[] | null;
  readonly #isSmoke: boolean;
  readonly #stack = new AsyncDisposableStack();
  readonly #ordersUrl: string;
  readonly #orders: Redis;
  #mongo: Promise<TestMongo | null> | null = null;

  private constructor({ rounds, only, isSmoke }: BenchOptions, ordersUrl: string, orders: Redis) {
    this.rounds = rounds;
    this.#only = only;
    this.#isSmoke = isSmoke;
    this.#ordersUrl = ordersUrl;
    this.#orders = orders;
  }

  static async open(options: BenchOptions): Promise<Bench> {
    const redis = await startRedis();
    const orders = new Redis(redis.url);
    const bench = new Bench(options, redis.url, orders);
    bench.#stack.use(redis);
    bench.#stack.defer(() => orders.disconnect());
    return bench;
  }

  /** One MongoDB for all rows, for databases of their own. Null where there is none. */
  async mongo(): Promise<Pick<TestMongo, "url"> | null> {
    this.#mongo ??= startMongo().then((mongo) => mongo && this.#stack.use(mongo));
    return await this.#mongo;
  }

  /** Starts a program of `children/`, which gets the settings and then does as it is told. */
  async child<Handlers extends Orders<Handlers>>(
    program: string,
    settings: unknown,
    nodeFlags: readonly string[] = [],
  ): Promise<Child<Handlers>> {
    const file = join(import.meta.dirname, "children", `${program}.ts`);
    const channels = { orders: this.#orders, ordersUrl: this.#ordersUrl };
    return await startChild<Handlers>({ file, settings, nodeFlags, ...channels });
  }

  /** How much of something a row does: less of it when it only has to show that it runs. */
  size(full: number, smoke: number): number {
    return this.#isSmoke ? smoke : full;
  }

  /** Measures one contender after the other. One that breaks down says so in the table and does not stop the others. */
  async each(
    contenders: readonly string[],
    measure: (contender: string) => Promise<Omit<Figure, "contender">>,
  ): Promise<readonly Figure[]> {
    const figures: Figure[] = [];
    for (const contender of contenders.filter((name) => this.#only?.includes(name) ?? true)) {
      this.progress(contender);
      figures.push({ contender, ...(await measure(contender).catch(failure)) });
    }
    return figures;
  }

  /** Does something in each round, after one that warms up and is not counted. */
  async inRounds<Sample>(work: (round: number) => Promise<Sample>): Promise<Sample[]> {
    if (!this.#isSmoke) await work(0);
    return await this.repeat((round) => work(round));
  }

  /** Does something in each round, the first of which is 1. */
  async repeat<Sample>(work: (round: number) => Promise<Sample>): Promise<Sample[]> {
    const samples: Sample[] = [];
    for (let round = 1; round <= this.rounds; round++) samples.push(await work(round));
    return samples;
  }

  progress(text: string): void {
    process.stderr.write(`  ${text}\n`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

function failure(error: unknown): Omit<Figure, "contender"> {
  process.stderr.write(`${inspect(error)}\n`);
  return { samples: [], note: "failed" };
}

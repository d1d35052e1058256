import { startProcess } from "@mythic/testing/process";
import type { Redis } from "ioredis";
import { type Answer, type Assignment, type Order, type Orders, READY } from "./orders.ts";

/** A child process of a row, as its parent sees it. */
export interface Child<Handlers extends Orders<Handlers>> extends AsyncDisposable {
  /** Of the process. */
  readonly id: number;
  /** Gives an order and waits for its result. */
  order<Name extends keyof Handlers & string>(
    name: Name,
    argument: Parameters<Handlers[Name]>[0],
  ): Promise<Awaited<ReturnType<Handlers[Name]>>>;
}

export interface ChildOptions {
  readonly file: string;
  /** Handed to the child as JSON. */
  readonly settings: unknown;
  readonly nodeFlags: readonly string[];
  /** The Redis that orders go over. */
  readonly orders: Redis;
  readonly ordersUrl: string;
}

/** An order that takes longer has failed. */
const ORDER_MS = 60_000;
let children = 0;

export async function startChild<Handlers extends Orders<Handlers>>(
  options: ChildOptions,
): Promise<Child<Handlers>> {
  const { file, settings, nodeFlags, orders, ordersUrl } = options;
  await using stack = new AsyncDisposableStack();
  const channel = `child-${++children}`;
  const answers = stack.use(await listen(orders, `${channel}:answers`));
  const assignment: Assignment<unknown> = { ordersUrl, channel, answerChannel: answers.channel, settings };
  const started = stack.use(
    await startProcess(file, {
      args: [JSON.stringify(assignment)],
      nodeFlags,
      ready: new RegExp(`^${READY}$`),
    }),
  );
  const kept = stack.move();
  let number = 0;
  return {
    id: started.id,
    async order(name, argument) {
      const order: Order = { number: ++number, name, argument };
      const answered = answers.to(order.number);
      await orders.publish(channel, JSON.stringify(order));
      const answer = await within(answered, ORDER_MS);
      if (answer === null)
        throw new Error(`${file} did not answer. Its output:\n${started.lines.slice(-20).join("\n")}`);
      if (answer.error !== undefined) throw new Error(`${file}: ${answer.error}`);
      return answer.result as never;
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** What a child has to say. */
interface Answers extends AsyncDisposable {
  readonly channel: string;
  to(number: number): Promise<Answer>;
}

async function listen(orders: Redis, channel: string): Promise<Answers> {
  const subscriber = orders.duplicate();
  const waiting = new Map<number, (answer: Answer) => void>();
  subscriber.on("message", (_channel, text) => {
    const answer = JSON.parse(text) as Answer;
    waiting.get(answer.number)?.(answer);
    waiting.delete(answer.number);
  });
  await subscriber.subscribe(channel);
  return {
    channel,
    to: (number) => new Promise((resolve) => waiting.set(number, resolve)),
    [Symbol.asyncDispose]: async () => subscriber.disconnect(),
  };
}

async function within(answered: Promise<Answer>, milliseconds: number): Promise<Answer | null> {
  const { promise, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(resolve, milliseconds, null);
  try {
    return await Promise.race([answered, promise]);
  } finally {
    clearTimeout(timer);
  }
}

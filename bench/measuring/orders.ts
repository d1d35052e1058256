import { Redis } from "ioredis";

// A child process of a row does what it is told, one order after the other, and does nothing else: so what it used of the
// processor in between belongs to the order. Orders and answers go over a Redis that no row measures.

/** What a child can be told: each order takes one argument, as JSON, and has a result, as JSON. */
export type Orders<Handlers> = {
  readonly [Name in keyof Handlers]: (argument: never) => Promise<unknown>;
};

export interface Order {
  readonly number: number;
  readonly name: string;
  readonly argument: unknown;
}

export interface Answer {
  readonly number: number;
  readonly result?: unknown;
  readonly error?: string;
}

export interface Assignment<Settings> {
  /** The Redis that orders come over. */
  readonly ordersUrl: string;
  readonly channel: string;
  readonly answerChannel: string;
  readonly settings: Settings;
}

/** A line of output. */
export const READY = "ready for orders";

/** What the parent gave this child to start with. */
export function readSettings<Settings>(): Settings {
  return readAssignment<Settings>().settings;
}

function readAssignment<Settings>(): Assignment<Settings> {
  return JSON.parse(process.argv[2] ?? "null") as Assignment<Settings>;
}

/** Takes orders from now on. */
export async function takeOrders<Handlers extends Orders<Handlers>>(handlers: Handlers): Promise<void> {
  const { ordersUrl, channel, answerChannel } = readAssignment();
  const answers = new Redis(ordersUrl);
  const orders = new Redis(ordersUrl);
  const answer = async (text: string) => {
    const given = await obey(handlers, JSON.parse(text) as Order);
    await answers.publish(answerChannel, JSON.stringify(given));
  };
  orders.on("message", (_channel, text) => void answer(text));
  await orders.subscribe(channel);
  console.log(READY);
}

async function obey<Handlers extends Orders<Handlers>>(handlers: Handlers, order: Order): Promise<Answer> {
  const { number, name, argument } = order;
  try {
    return { number, result: await handlers[name as keyof Handlers](argument as never) };
  } catch (error) {
    return { number, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

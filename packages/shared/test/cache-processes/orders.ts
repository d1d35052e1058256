/** What a child process can be told: each order takes one argument and has a result. */
export type Orders<Handlers> = {
  readonly [Name in keyof Handlers]: (argument: never) => unknown;
};

export interface Order {
  readonly number: number;
  readonly name: string;
  readonly argument: unknown;
}

/** What a child sends: that it is ready, the outcome of an order, or something of its own accord. */
export type Message =
  | { readonly kind: "ready" }
  | { readonly kind: "done"; readonly number: number; readonly result: unknown }
  | { readonly kind: "failed"; readonly number: number; readonly stack: string }
  | { readonly kind: "told"; readonly what: unknown };

/** What the parent gave this child to start with. */
export function readSettings<Settings>(): Settings {
  return JSON.parse(process.argv[2] ?? "null") as Settings;
}

/** Takes orders from now on, several at a time, and ends when the parent does. */
export function takeOrders<Handlers extends Orders<Handlers>>(handlers: Handlers): void {
  process.on("message", (order: Order) => void obey(handlers, order));
  process.on("disconnect", () => process.exit());
  send({ kind: "ready" });
}

/** Tells the parent something that it did not ask for. */
export function tell(what: unknown): void {
  send({ kind: "told", what });
}

/** Milliseconds of a clock that all processes of this machine share, for times that begin in one and end in another. */
export function sharedNow(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

async function obey<Handlers extends Orders<Handlers>>(handlers: Handlers, order: Order): Promise<void> {
  const { number, name, argument } = order;
  try {
    const result = await handlers[name as keyof Handlers](argument as never);
    send({ kind: "done", number, result });
  } catch (error) {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    send({ kind: "failed", number, stack });
  }
}

function send(message: Message): void {
  // A parent that is gone hears nothing, and this process is about to end.
  if (process.connected) process.send?.(message);
}

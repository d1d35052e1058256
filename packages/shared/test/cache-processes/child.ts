import { fork } from "node:child_process";
import { once } from "node:events";
import type { Message, Order, Orders } from "./orders.ts";

/** A child process, as its parent sees it. */
export interface Child<Handlers extends Orders<Handlers>> extends AsyncDisposable {
  /** Gives an order and waits for its result, which is an error when the child ends first. */
  order<Name extends keyof Handlers & string>(
    name: Name,
    ...argument: Parameters<Handlers[Name]>
  ): Promise<Awaited<ReturnType<Handlers[Name]>>>;
  /** `SIGKILL`, `SIGSTOP`, `SIGCONT`. */
  signal(name: NodeJS.Signals): void;
}

export interface ChildOptions {
  /** The program, which calls `takeOrders`. */
  readonly program: URL;
  /** Handed to the child as JSON. */
  readonly settings: unknown;
  /** Gets what the child tells of its own accord. */
  readonly told?: (what: unknown) => void;
  /** Called when the child ends without being disposed of. */
  readonly ended?: (why: string) => void;
}

/** Starts a process and resolves when it takes orders. It is killed when it is disposed of, stopped or not. */
export async function startChild<Handlers extends Orders<Handlers>>({
  program,
  settings,
  told,
  ended,
}: ChildOptions): Promise<Child<Handlers>> {
  const { PATH = "", HOME = "" } = process.env;
  const child = fork(program, [JSON.stringify(settings)], {
    env: { PATH, HOME },
    execArgv: ["--disable-warning=ExperimentalWarning"],
    serialization: "advanced",
  });
  const orders = new Map<number, PromiseWithResolvers<unknown>>();
  const ready = Promise.withResolvers<void>();
  let count = 0;
  let isDisposed = false;
  child.on("message", (message: Message) => {
    if (message.kind === "ready") ready.resolve();
    else if (message.kind === "told") told?.(message.what);
    else settle(message);
  });
  child.on("exit", (code, signal) => {
    const why = `${program.pathname} ended with ${code ?? signal}.`;
    for (const { reject } of orders.values()) reject(new Error(why));
    ready.reject(new Error(why));
    if (!isDisposed) ended?.(why);
  });
  await ready.promise;

  function settle(message: Extract<Message, { readonly number: number }>): void {
    const order = orders.get(message.number);
    orders.delete(message.number);
    if (message.kind === "done") order?.resolve(message.result);
    else order?.reject(new Error(message.stack));
  }

  return {
    order(name, argument) {
      count += 1;
      const outcome = Promise.withResolvers<unknown>();
      orders.set(count, outcome);
      const order: Order = { number: count, name, argument };
      child.send(order, (error) => {
        if (error !== null) outcome.reject(error);
      });
      return outcome.promise as never;
    },
    signal(name) {
      child.kill(name);
    },
    async [Symbol.asyncDispose]() {
      isDisposed = true;
      if (child.exitCode !== null || child.signalCode !== null) return;
      const closed = once(child, "close");
      child.kill("SIGKILL");
      await closed;
    },
  };
}

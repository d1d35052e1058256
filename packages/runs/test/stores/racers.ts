import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";

export interface Racer<Message> {
  send(message: "go" | readonly string[]): void;
  next(): Promise<Message>;
}

/** Processes of their own that run a script on one store, until they are disposed of. */
export function startRacers<Message>(
  script: URL,
  spawnArgs: readonly string[],
  count: number,
): Disposable & { readonly racers: readonly Racer<Message>[] } {
  const children = Array.from({ length: count }, () => fork(script, [...spawnArgs], { execArgv: [] }));
  return {
    racers: children.map((child) => ({
      send: (message) => child.send(message),
      next: () => nextMessage<Message>(child),
    })),
    [Symbol.dispose]() {
      for (const child of children) child.kill("SIGKILL");
    },
  };
}

async function nextMessage<Message>(racer: ChildProcess): Promise<Message> {
  const ended = once(racer, "exit").then(([code]) => {
    throw new Error(`a racer ended early with ${String(code)}`);
  });
  ended.catch(() => undefined);
  const [message] = (await Promise.race([once(racer, "message"), ended])) as [Message];
  return message;
}

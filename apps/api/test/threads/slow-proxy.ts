import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** A way to a server that takes as long as a test likes. */
export interface SlowProxy extends AsyncDisposable {
  readonly port: number;
  /** By which every reply is late from now on, in milliseconds. */
  delayMs: number;
}

/** Stands before a server on this machine, and hands its replies on late, each after the one before. */
export async function startSlowProxy(target: number): Promise<SlowProxy> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(target, "127.0.0.1");
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
    client.on("data", (data) => upstream.write(data));
    upstream.on("data", (data) => {
      // Timers of one length keep their order; one that is shorter than those before must not overtake them.
      setTimeout(() => client.destroyed || client.write(data), proxy.delayMs);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The system gave no port.");
  const proxy = {
    port: address.port,
    delayMs: 0,
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
  return proxy;
}

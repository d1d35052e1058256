import { once } from "node:events";
import type { Server } from "node:http";
import type { Socket } from "node:net";

/** How long answers at work may take after `close`. */
const DRAIN_MS = 10_000;
/** How often connections are looked for that have had their answer since. */
const DRAIN_LOOK_MS = 50;

/**
 * Answers how to stop a server: what is at work is answered, what is idle is closed. To be called before the server listens.
 */
export function closerOf(server: Server): () => Promise<void> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  const closeUnused = () => {
    server.closeIdleConnections();
    // Clients open some in advance. Node does not take them for idle.
    for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
  };
  return async () => {
    if (!server.listening) return;
    const closed = once(server, "close");
    server.close();
    closeUnused();
    const timer = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
    // Those at work would be kept open after their answer, for a next request.
    const look = setInterval(closeUnused, DRAIN_LOOK_MS);
    await closed;
    clearTimeout(timer);
    clearInterval(look);
  };
}

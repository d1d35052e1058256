import { once } from "node:events";
import { connect, type Socket } from "node:net";

export interface LoadOptions {
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON to be posted. Without it the address is got. */
  readonly body?: string;
  /** The status of every answer; another one ends the load with an error. */
  readonly status: number;
  readonly forMs: number;
  readonly connections: number;
  /**
   * Keeps this process from sleeping while it waits for answers. Whoever writes to one that sleeps pays for waking it, most on a virtual
   * machine, and so a server would be charged the more the longer it takes. Needs a processor that nobody else does.
   */
  readonly staysAwake?: boolean;
}

const HEAD_END = "\r\n\r\n";
const LAST_CHUNK = "\r\n0\r\n\r\n";

/**
 * Asks for one address over and over, each connection anew after its last answer, and says how many answers there were.
 * It writes to sockets itself, as a client of comfort would need more of the processor than the server that is measured.
 */
export async function loadServer(options: LoadOptions): Promise<number> {
  const { hostname, port, pathname, host } = new URL(options.url);
  const { body = "", headers } = options;
  const ofBody = {
    "content-type": "application/json",
    "content-length": String(Buffer.byteLength(body)),
  };
  const lines = Object.entries({ host, ...headers, ...(body === "" ? {} : ofBody) }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  const method = body === "" ? "GET" : "POST";
  const request = Buffer.from(`${method} ${pathname} HTTP/1.1\r\n${lines.join("")}\r\n${body}`);
  const endsAt = performance.now() + options.forMs;
  if (options.staysAwake) stayAwakeUntil(endsAt);
  const counts = await Promise.all(
    Array.from({ length: options.connections }, async () => {
      const socket = connect(Number(port), hostname).setNoDelay(true);
      await once(socket, "connect");
      try {
        return await askUntil(socket, { request, endsAt, status: String(options.status) });
      } finally {
        socket.destroy();
      }
    }),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

function stayAwakeUntil(endsAt: number): void {
  if (performance.now() < endsAt) setImmediate(stayAwakeUntil, endsAt);
}

interface Asking {
  readonly request: Buffer;
  readonly status: string;
  readonly endsAt: number;
}

function askUntil(socket: Socket, { request, status, endsAt }: Asking): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  let answers = 0;
  let arrived = Buffer.alloc(0);
  socket.once("error", reject);
  socket.once("close", () => reject(new Error("The server closed the connection.")));
  socket.on("data", (bytes) => {
    arrived = arrived.length === 0 ? bytes : Buffer.concat([arrived, bytes]);
    const size = sizeOf(arrived);
    if (size === null || arrived.length < size) return;
    const got = arrived.toString("latin1", 9, 12);
    if (got !== status) reject(new Error(`The server answered ${got}: ${arrived.toString("utf8")}`));
    arrived = Buffer.alloc(0);
    answers++;
    if (performance.now() < endsAt) socket.write(request);
    else resolve(answers);
  });
  socket.write(request);
  return promise;
}

/** Bytes of the whole answer; null when its head has not arrived yet. */
function sizeOf(answer: Buffer): number | null {
  const head = answer.indexOf(HEAD_END);
  if (head < 0) return null;
  const headers = answer.toString("latin1", 0, head);
  if (/\r\ntransfer-encoding: *chunked/i.test(headers)) {
    const last = answer.indexOf(LAST_CHUNK, head);
    return last < 0 ? null : last + LAST_CHUNK.length;
  }
  const length = /\r\ncontent-length: *(\d+)/i.exec(headers)?.[1] ?? "0";
  return head + HEAD_END.length + Number(length);
}

import { startRedis, type TestRedis } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";
import { Redis } from "ioredis";
import { type Child, startChild } from "./child.ts";
import { HOPS, NAMESPACE, type NotesOrders, type NotesSettings, USER } from "./notes-child.ts";
import { sharedNow } from "./orders.ts";

export type Member = Child<NotesOrders>;

export interface CrewOptions extends Partial<Omit<NotesSettings, "redisUrl">> {
  readonly size: number;
}

/** Processes with a cache each, on a Redis of their own. */
export interface Crew extends AsyncDisposable {
  readonly server: TestRedis;
  /** A client of that Redis that knows nothing of caches. */
  readonly stranger: Redis;
  readonly members: readonly Member[];
  /** Takes another one on. */
  join(): Promise<Member>;
}

/** Heartbeats short enough that no test waits long for two of them, and long enough for a busy machine. */
const HEARTBEAT_MS = 500;
const LEASE_MS = 5_000;
const PROBE_AFTER_MS = 200;

/** Starts processes and waits until all of them can use Redis. */
export async function gather(options: CrewOptions): Promise<Crew> {
  const { size, leaseMs = LEASE_MS, heartbeatMs = HEARTBEAT_MS, probeAfterMs = PROBE_AFTER_MS } = options;
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startRedis());
  const stranger = new Redis(server.url, { retryStrategy: () => 20 });
  // Some tests stop the server under it.
  stranger.on("error", () => undefined);
  stack.defer(() => stranger.disconnect());
  const settings: NotesSettings = { redisUrl: server.url, leaseMs, heartbeatMs, probeAfterMs };
  const program = new URL("notes-child.ts", import.meta.url);
  const join = async () => {
    const member = await startChild<NotesOrders>({ program, settings });
    staff.use(member);
    if (!(await member.order("ready"))) throw new Error("Redis cannot be used.");
    return member;
  };
  const staff = stack.use(new AsyncDisposableStack());
  const members = await Promise.all(Array.from({ length: size }, join));
  const kept = stack.move();
  return {
    server,
    stranger,
    members,
    join,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** The full Redis key of a note, or of its lease or error. */
export function keyOf(id: string, kind: "v" | "l" | "e" = "v"): string {
  return `${NAMESPACE}:c:{u.${USER}}:${kind}:notes.1:${id}`;
}

/** Waits until a process has a note in its memory. */
export async function holds(member: Member, id: string, text: string): Promise<void> {
  // What was stored a moment ago comes back as news, so the first reading may not be kept.
  await waitFor(async () => {
    await member.order("get", id);
    return (await member.order("peek", id)) === text;
  });
}

/** Waits until a process has let go of a note. */
export async function letsGo(member: Member, id: string): Promise<void> {
  await waitFor(async () => (await member.order("peek", id)) === undefined, {
    everyMs: 2,
    what: `${id} to be let go`,
  });
}

/** How often Redis has run a command. */
export async function callsOf(stranger: Redis, command: string): Promise<number> {
  const stats = String(await stranger.info("commandstats"));
  return Number(new RegExp(`^cmdstat_${command}:calls=(\\d+)`, "m").exec(stats)?.[1] ?? 0);
}

const MESSAGES = 50;

/** The median of what messages over Redis take from this process to another, in milliseconds. */
export async function measureHop(stranger: Redis, member: Member): Promise<number> {
  await member.order("hops");
  const hops: number[] = [];
  for (let sent = 1; sent <= MESSAGES; sent += 1) {
    await stranger.publish(HOPS, String(sharedNow()));
    // One at a time, as pushes come.
    await waitFor(
      async () => {
        hops.push(...(await member.order("hops")));
        return hops.length === sent;
      },
      { everyMs: 0 },
    );
  }
  return median(hops);
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

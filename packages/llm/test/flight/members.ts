import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { startProcess, type TestProcess } from "@mythic/testing/process";
import { waitFor } from "@mythic/testing/wait";
import { startUpstream, type Upstream } from "./upstream.ts";

/** Where a leader is to be lost: short, so that it is noticed soon, and yet longer than a busy machine keeps a process waiting. */
export const LEASE_MS = 1_700;
/** Where none is. */
const LONG_LEASE_MS = 20_000;

interface MemberOptions {
  readonly callers?: number;
  /** Its callers leave when this is what they have read. */
  readonly leaveAt?: string;
}

export interface Members {
  readonly namespace: string;
  readonly upstream: Upstream;
  /** Starts a process whose callers join at once. */
  start(options?: MemberOptions): Promise<TestProcess>;
  /** Starts one that leads, then so many that follow it. */
  startLed(followers: number, leader?: MemberOptions): Promise<readonly [TestProcess, ...TestProcess[]]>;
}

/** Processes that share flights through a Redis, and an upstream. They end with the stack. */
export async function useMembers(
  stack: AsyncDisposableStack,
  redis: string,
  leaseMs = LONG_LEASE_MS,
): Promise<Members> {
  const upstream = stack.use(await startUpstream());
  const namespace = `test-${randomUUID()}`;
  const file = join(import.meta.dirname, "member-main.ts");
  async function start({ callers = 1, leaveAt = "?" }: MemberOptions = {}): Promise<TestProcess> {
    const env = {
      REDIS: redis,
      UPSTREAM: upstream.url,
      NAMESPACE: namespace,
      LEASE_MS: String(leaseMs),
      CALLERS: String(callers),
      LEAVE_AT: leaveAt,
    };
    return stack.use(await startProcess(file, { env, ready: /^ready$/ }));
  }
  return {
    namespace,
    upstream,
    start,
    async startLed(followers, options = {}) {
      const leader = await start(options);
      await upstream.at(0);
      return [leader, ...(await Promise.all(Array.from({ length: followers }, () => start())))];
    },
  };
}

/** Waits until a process' first caller has read this, resets being `|`. */
export async function untilRead(process: TestProcess, text: string): Promise<void> {
  await process.line(new RegExp(`^0 ${text.replaceAll("|", "\\|")}$`));
}

/** Waits until all callers of a process have come to their end, and gives that in words, without those who said the same. */
export async function endsOf(process: TestProcess, callers = 1): Promise<readonly string[]> {
  const ends = () => process.lines.flatMap((line) => /^\d+ = (.*)$/.exec(line)?.[1] ?? []);
  await waitFor(() => ends().length === callers, { what: `${callers} ends of\n${process.lines.join("\n")}` });
  return [...new Set(ends())].sort((left, right) => left.localeCompare(right));
}

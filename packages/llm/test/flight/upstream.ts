import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import { waitFor } from "@mythic/testing/wait";

/** A call that has arrived upstream, and goes as the test says. */
interface UpstreamCall {
  /** True when the caller has gone. */
  readonly isAborted: boolean;
  chunk(text: string): void;
  /** The answer is complete: it is what the chunks make. */
  end(): void;
  fail(): void;
}

/** Counts the calls that leave a process, in the order in which they arrive. */
export interface Upstream extends AsyncDisposable {
  readonly url: string;
  readonly calls: readonly UpstreamCall[];
  /** Waits for a call, counted from 0. */
  at(index: number): Promise<UpstreamCall>;
}

/** Speaks a line for each chunk, at last `.` for the end or `!` for a failure. */
export async function startUpstream(): Promise<Upstream> {
  const calls: UpstreamCall[] = [];
  const server = createServer((_request, response) => {
    response.flushHeaders();
    calls.push(callOf(response));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("There is no port.");
  return {
    url: `http://127.0.0.1:${address.port}/`,
    calls,
    at: async (index) => await waitFor(() => calls[index], { what: `call ${index} to arrive upstream` }),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

function callOf(response: ServerResponse): UpstreamCall {
  return {
    get isAborted() {
      return response.destroyed && !response.writableFinished;
    },
    chunk: (text) => void response.write(`${text}\n`),
    end: () => void response.end(".\n"),
    fail: () => void response.end("!\n"),
  };
}

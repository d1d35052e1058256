import type { IncomingHttpHeaders } from "node:http";
import type { ChatRequest } from "./request.ts";

export interface RecordedCall {
  readonly request: ChatRequest;
  readonly headers: IncomingHttpHeaders;
  readonly startedAt: Date;
  /** In milliseconds of `performance.now()`. */
  readonly arrivedAt: number;
  /** Of prompt and answer, as they come to in the end. */
  readonly tokens: number;
  /**
   * `open`: on its way; `answered`: sent to the end, whatever was in it; `failed`: an error status; `limited`: more than the limits; `cut`: by the fake;
   * `aborted`: the client went away before the end.
   */
  readonly outcome: CallOutcome;
}

export type CallOutcome = "open" | "answered" | "failed" | "limited" | "cut" | "aborted";

/** All calls so far, in the order they came. */
export class CallLog {
  readonly calls: RecordedCall[] = [];
  mostAtOnce = 0;
  #open = 0;

  /** Notes the call as open and gives what notes its end. */
  open(arrival: Omit<RecordedCall, "outcome" | "startedAt">): (outcome: CallOutcome) => void {
    const call = { ...arrival, startedAt: new Date(), outcome: "open" as CallOutcome };
    this.calls.push(call);
    this.#open += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#open);
    return (outcome) => {
      call.outcome = outcome;
      this.#open -= 1;
    };
  }

  byContent(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { request } of this.calls) counts.set(request.digest, (counts.get(request.digest) ?? 0) + 1);
    return counts;
  }
}

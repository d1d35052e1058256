import { Counter, Histogram, type Registry } from "prom-client";

export interface AnsweredRequest {
  /** As the table of routes has it, or `none`: what clients make up must not become a label. */
  readonly route: string;
  /** 499: the client went away. */
  readonly status: number;
  readonly ms: number;
  readonly isSlow: boolean;
}

/** Counts requests and their times. */
export class HttpFigures {
  readonly #seconds: Histogram<"route" | "status">;
  readonly #slow: Counter<"route">;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#seconds = new Histogram({
      name: "mythic_http_request_seconds",
      help: "How long answers took, without the time that clients asked to wait.",
      labelNames: ["route", "status"],
      buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10],
      registers,
    });
    this.#slow = new Counter({
      name: "mythic_http_slow_requests_total",
      help: "Answers that took longer than SLOW_REQUEST_MS.",
      labelNames: ["route"],
      registers,
    });
  }

  count({ route, status, ms, isSlow }: AnsweredRequest): void {
    this.#seconds.observe({ route, status }, ms / 1_000);
    if (isSlow) this.#slow.inc({ route });
  }
}

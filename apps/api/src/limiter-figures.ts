import type { Decision } from "@mythic/shared/rate-limit";
import { Counter, type Registry } from "prom-client";

/** Counts what the limiter decided. */
export class LimiterFigures {
  readonly #decisions: Counter<"outcome" | "tier" | "policy">;

  constructor(registry: Registry) {
    this.#decisions = new Counter({
      name: "mythic_rate_limit_decisions_total",
      help: "Decisions about requests: which policy refused, or none, and who decided.",
      labelNames: ["outcome", "tier", "policy"],
      registers: [registry],
    });
  }

  count({ allowed, refusedBy, tier }: Decision): void {
    const outcome = allowed ? "allowed" : "refused";
    this.#decisions.inc({ outcome, tier, policy: refusedBy ?? "none" });
  }
}

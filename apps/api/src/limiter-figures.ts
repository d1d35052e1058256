import type { Decision } from "@mythic/shared/rate-limit";
import { Counter, type Registry } from "prom-client";

/** Counts what the limiter decided. */
export class LimiterFigures {
  /** By what they have in common. The counter below takes longer for one than all the rest of a decision does. */
  readonly #decisions = new Map<string, { readonly labels: Labels; count: number }>();

  constructor(registry: Registry) {
    const decisions = this.#decisions;
    new Counter({
      name: "mythic_rate_limit_decisions_total",
      help: "Decisions about requests: which policy refused, or none, and who decided.",
      labelNames: ["outcome", "tier", "policy"],
      registers: [registry],
      collect() {
        this.reset();
        for (const { labels, count } of decisions.values()) this.inc(labels, count);
      },
    });
  }

  count({ allowed, refusedBy, tier }: Decision): void {
    const key = `${tier} ${refusedBy ?? ""}`;
    const known = this.#decisions.get(key);
    if (known !== undefined) {
      known.count += 1;
      return;
    }
    const labels = { outcome: allowed ? "allowed" : "refused", tier, policy: refusedBy ?? "none" };
    this.#decisions.set(key, { labels, count: 1 });
  }
}

type Labels = Readonly<Record<"outcome" | "tier" | "policy", string>>;

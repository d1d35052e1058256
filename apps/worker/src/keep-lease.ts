import type { Step, Store } from "@mythic/runs";
import { Interruption } from "./interruption.ts";

export interface KeptLease {
  readonly store: Store;
  readonly step: Step;
  readonly leaseMs: number;
  /** Aborted when the lease is lost. */
  readonly controller: AbortController;
}

/**
 * Renews the lease of a step at a third of its length, until the returned function is called. Once the fence is lost, or no
 * renewal got through for a whole lease, the work is aborted: someone else may have the step by then.
 */
export function keepLease({ store, step, leaseMs, controller }: KeptLease): () => void {
  let renewedAt = performance.now();
  let renewing = false;
  const renew = async () => {
    if (renewing) return;
    renewing = true;
    const askedAt = performance.now();
    try {
      if (await store.steps.heartbeat(step.id, step.fence, leaseMs)) renewedAt = askedAt;
      else controller.abort(new Interruption("lease_lost"));
    } catch {
      if (performance.now() - renewedAt > leaseMs) controller.abort(new Interruption("lease_lost"));
    } finally {
      renewing = false;
    }
  };
  const timer = setInterval(() => void renew(), leaseMs / 3);
  return () => clearInterval(timer);
}

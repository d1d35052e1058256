/** Why the work on a step was cut short from outside. None of these is the step's fault. */
export type InterruptionReason =
  /** Someone else has the step now, or the store could not be told of us for longer than the lease. */
  | "lease_lost"
  /** The run is to stop. */
  | "cancelled"
  /** The worker stops. */
  | "draining";

/** The reason of an aborted step's signal. */
export class Interruption extends Error {
  override readonly name = "Interruption";
  readonly reason: InterruptionReason;

  constructor(reason: InterruptionReason) {
    super(`interrupted: ${reason}`);
    this.reason = reason;
  }
}

import { StoreUnavailableError } from "@mythic/runs";

/** A store that does not answer is reported within 5 seconds, however many questions a request has for it. */
export const PATIENCE_MS = 4_500;

/**
 * Waits for work that needs the store. What goes on after the time is up may still happen: that is what the error says. Its own
 * end is not waited for.
 *
 * @throws StoreUnavailableError when the time is up
 */
export function withPatience<Value>(work: Promise<Value>, patienceMs = PATIENCE_MS): Promise<Value> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new StoreUnavailableError(`The store did not answer within ${patienceMs} ms.`)),
      patienceMs,
    );
    const settle = <Outcome>(how: (outcome: Outcome) => void) => {
      return (outcome: Outcome) => {
        clearTimeout(timer);
        how(outcome);
      };
    };
    work.then(settle(resolve), settle(reject));
  });
}

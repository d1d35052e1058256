/** Something that was let through. */
export interface Admission {
  readonly at: number;
  readonly cost: number;
}

/** The most that any window as long as the period got. A window that got most begins with an admission. */
export function fullestWindow(admissions: readonly Admission[], periodMs: number): number {
  let most = 0;
  for (const [first, { at }] of admissions.entries()) {
    let sum = 0;
    for (let index = first; index < admissions.length; index += 1) {
      const admission = admissions[index];
      if (admission === undefined || admission.at >= at + periodMs) break;
      sum += admission.cost;
    }
    most = Math.max(most, sum);
  }
  return most;
}

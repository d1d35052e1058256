/**
 * A write whose answer never came may still happen once the store goes on. So what it would change is forgotten a second time, so much
 * later; whoever looks in between may have stored what was there before.
 */
const DOUBT_MS = 10_000;

/**
 * Writes, and then tells the cache of it, before anyone else hears that it is done. `forget` is for a write of which nobody knows
 * whether it happened. Neither may reject.
 */
export async function announced<Outcome>(
  write: Promise<Outcome>,
  tell: (outcome: Outcome) => Promise<unknown>,
  forget: () => Promise<unknown>,
): Promise<Outcome> {
  let outcome: Outcome;
  try {
    outcome = await write;
  } catch (error) {
    await forget();
    setTimeout(() => void forget(), DOUBT_MS).unref();
    throw error;
  }
  await tell(outcome);
  return outcome;
}

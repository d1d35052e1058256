/** How long the work took, in milliseconds, and whether it failed. */
export async function timed(
  work: () => Promise<unknown>,
): Promise<{ readonly ms: number; readonly error: unknown }> {
  const before = performance.now();
  const error = await work().then(
    () => null,
    (reason: unknown) => reason,
  );
  return { ms: performance.now() - before, error };
}

/** One check of a caller against its limits, which are so high that it always passes. */
export type Check = (caller: string) => Promise<unknown>;

/** What a file of this folder exports as `openLimiter`. */
export type OpenLimiter = (redisUrl: string) => Promise<Check>;

const OWN = ["mythic", "script"];

export async function openContender(name: string, redisUrl: string): Promise<Check> {
  const folder = OWN.includes(name) ? "." : "./peers";
  const { openLimiter } = (await import(`${folder}/${name}.ts`)) as { readonly openLimiter: OpenLimiter };
  return await openLimiter(redisUrl);
}

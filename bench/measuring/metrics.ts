/** Reads a counter out of what a process tells Prometheus: the sum of its series that have these labels, 0 without any. */
export function readCounter(
  text: string,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number {
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  return text
    .split("\n")
    .map((line) => /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line))
    .filter((series) => series?.[1] === name)
    .filter((series) => wanted.every((label) => series?.[2]?.split(",").includes(label)))
    .reduce((sum, series) => sum + Number(series?.[3]), 0);
}

import { parseArgs } from "node:util";
import { soak } from "./soak.ts";

/** `[minutes] [--seconds <number>] [--seed <number>]`: five minutes and any seed unless told. */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: "string" }, seed: { type: "string" } },
});
const seconds = Number(values.seconds ?? 60 * Number(positionals[0] ?? 5));
const seed = Number(values.seed ?? Math.floor(Math.random() * 1_000_000));
const say = (line: string) => void process.stdout.write(`${line}\n`);

say(`Soak of the cache for ${seconds} s, --seed ${seed}`);
const { reads, changes, faults, counts, latestMs, boundMs, violations } = await soak({
  seed,
  durationMs: seconds * 1_000,
  told: (what) => say(`  ${what}`),
});
const sum = (of: (one: (typeof counts)[number]) => number) =>
  counts.reduce((total, one) => total + of(one), 0);
say(`${reads} values were read and ${changes} changes made, through ${total(faults)} faults.`);
say(
  `The processes that were left: ${sum(({ hits }) => hits)} hits, ${sum(({ loads }) => loads)} loads, ${sum(({ coalesced }) => coalesced)} callers who shared one, slowest call ${Math.round(Math.max(...counts.map(({ slowestMs }) => slowestMs)))} ms.`,
);
say(`Served at most ${Math.round(latestMs)} ms after its change was settled; ${boundMs} ms are allowed.`);
for (const violation of violations.slice(0, 3)) say(`\n${violation}`);
say(violations.length === 0 ? "All is well." : `${violations.length} were served too late. --seed ${seed}`);
process.exitCode = violations.length === 0 ? 0 : 1;

function total(all: ReadonlyMap<string, number>): number {
  return [...all.values()].reduce((added, count) => added + count, 0);
}

import { readdir, writeFile } from "node:fs/promises";
import { availableParallelism, loadavg } from "node:os";
import { join } from "node:path";
import { inspect, parseArgs } from "node:util";
import { Bench } from "./bench.ts";
import { installPeers } from "./install-peers.ts";
import { BARE_MINIMUM, MYTHIC, type Row } from "./row.ts";
import { linesOf, type Outcome, renderTable } from "./table.ts";

// npm run bench [row…] [-- --json FILE] [--rounds N] [--only CONTENDER,…] [--strict] [--smoke]

/** Contenders for which nothing need be installed. */
const OWN: readonly string[] = [MYTHIC, BARE_MINIMUM];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    /** Where to write every sample. */
    json: { type: "string" },
    /** Contenders to measure, with commas in between; all of them without it. */
    only: { type: "string" },
    rounds: { type: "string" },
    /** Fail when a row misses its bar. */
    strict: { type: "boolean", default: false },
    /** See whether every row runs, in a minute: one small round of Mythic and the bare minimum, and no bars. */
    smoke: { type: "boolean", default: false },
  },
});

const rows = await chooseRows(positionals);
const isSmoke = values.smoke;
const rounds = Number(values.rounds ?? (isSmoke ? 1 : 5));
const only = values.only?.split(",") ?? (isSmoke ? OWN : null);
if (!Number.isInteger(rounds) || rounds < 1) throw new TypeError("--rounds takes a whole number above 0.");
if (only?.every((contender) => OWN.includes(contender)) !== true) await installPeers();
await using bench = await Bench.open({ rounds, only, isSmoke });
const outcomes = await measureAll();

const lines = linesOf(outcomes, !isSmoke);
const machine = `Node ${process.versions.node}, ${availableParallelism()} processors, load ${loadavg()[0]?.toFixed(1)}`;
const reading = isSmoke ? "smoke run: its figures mean nothing" : `median (least–most) of ${rounds} rounds`;
console.log(`${machine}; ${reading}\n`);
console.log(renderTable(lines));
console.log(`\n${rows.map(({ name, measures, how }) => `${name}: ${measures} ${how}`).join("\n")}`);
if (values.json) await writeJson(values.json);
const verdicts = new Set(lines.map(({ verdict }) => verdict));
if (verdicts.has("failed") || (values.strict && verdicts.has("below bar"))) process.exitCode = 1;

async function chooseRows(names: readonly string[]): Promise<readonly Row[]> {
  const folder = join(import.meta.dirname, "rows");
  const files = (await readdir(folder)).filter((file) => file.endsWith(".ts")).sort();
  const known = files.map((file) => file.slice(0, -".ts".length));
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0)
    throw new TypeError(`There is no row ${unknown.join(", ")}. There are: ${known.join(", ")}`);
  const chosen = names.length > 0 ? names : known;
  return await Promise.all(
    chosen.map(async (name) => ((await import(join(folder, `${name}.ts`))) as { readonly row: Row }).row),
  );
}

/** One after the other; in a smoke run two at a time, as nothing is really measured. */
async function measureAll(): Promise<readonly Outcome[]> {
  const outcomes = new Map<Row, Outcome>();
  const left = rows.values();
  const work = async () => {
    for (const row of left) outcomes.set(row, await measure(row));
  };
  await Promise.all(isSmoke ? [work(), work()] : [work()]);
  return rows.flatMap((row) => outcomes.get(row) ?? []);
}

async function measure(row: Row): Promise<Outcome> {
  process.stderr.write(`${row.name}\n`);
  try {
    return { row, measured: await row.run(bench) };
  } catch (error) {
    process.stderr.write(`${inspect(error)}\n`);
    return { row, measured: null };
  }
}

async function writeJson(file: string): Promise<void> {
  const report = { at: new Date().toISOString(), node: process.versions.node, rounds, lines };
  // What never came about is a sample too.
  const text = JSON.stringify(
    report,
    (_key, value) => (value === Number.POSITIVE_INFINITY ? "never" : value),
    2,
  );
  await writeFile(file, `${text}\n`);
}

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

const here = import.meta.dirname;
/** What the lockfile was when its packages were installed. */
const installed = join(here, "node_modules/.installed-lock.json");

/** Installs the peers when that was not done yet, or their versions have changed since. */
export async function installPeers(): Promise<void> {
  const lock = await readFile(join(here, "package-lock.json"), "utf8");
  const before = await readFile(installed, "utf8").catch(() => null);
  if (lock === before) return;
  process.stderr.write("Installing the peers into bench/node_modules …\n");
  const npm = spawn("npm", ["ci", "--no-audit", "--no-fund"], {
    cwd: here,
    stdio: ["ignore", "ignore", "inherit"],
  });
  const [code] = await once(npm, "exit");
  if (code !== 0) throw new Error("The peers could not be installed.");
  await writeFile(installed, lock);
}

import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PREFIX = "mythic-parse-";
/** Twice what the largest file may take to be read. */
const LEFT_AFTER_MS = 2 * 3_600_000;

/** A directory for the file that is parsed; gone when disposed of. Those that killed processes left are removed on the way. */
export async function openWorkingCopy(
  within: string = tmpdir(),
): Promise<AsyncDisposable & { readonly directory: string }> {
  await removeLeftovers(within);
  const directory = await mkdtemp(join(within, PREFIX));
  return { directory, [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }) };
}

async function removeLeftovers(within: string): Promise<void> {
  const before = Date.now() - LEFT_AFTER_MS;
  for (const name of await readdir(within)) {
    if (!name.startsWith(PREFIX)) continue;
    const path = join(within, name);
    try {
      if ((await stat(path)).mtimeMs < before) await rm(path, { recursive: true, force: true });
    } catch {
      // Another process removes it too, or it is another user's.
    }
  }
}

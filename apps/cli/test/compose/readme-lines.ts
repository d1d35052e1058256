import { readFileSync } from "node:fs";
import { join } from "node:path";

export const ROOT = join(import.meta.dirname, "../../../..");

const BLOCKS = /<!-- compose -->\s*```\w*\n([\s\S]*?)```\s*<!-- \/compose -->/g;

/**
 * The lines of the README's blocks about containers, which stand between remarks of their own: without comments, and a line that
 * ends in `\` together with the next one.
 */
export function readmeLines(): readonly string[] {
  const readme = readFileSync(join(ROOT, "README.md"), "utf8");
  const blocks = Array.from(readme.matchAll(BLOCKS), ([, block = ""]) => block).join("\n");
  return blocks
    .replace(/\\\n\s*/g, "")
    .split("\n")
    .map((line) => line.replace(/\s+#\s.*$/, "").trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
}

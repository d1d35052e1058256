import { readFileSync } from "node:fs";
import { join } from "node:path";

export const ROOT = join(import.meta.dirname, "../../../..");

const BLOCKS = /<!-- compose -->\s*```\w*\n([\s\S]*?)```\s*<!-- \/compose -->/g;

/** Until the README has them all. */
const FALLBACK = `
docker compose up --detach --build --wait
KEY=$(docker compose run --rm cli key create --user me --role admin)
curl -sS -H "Authorization: Bearer $KEY" -F file=@packages/testing/sample-book/the-tide-bell-of-orrin.epub http://127.0.0.1:3000/books
RUN=$(curl -sS -H "Authorization: Bearer $KEY" -F file=@packages/testing/sample-book/the-tide-bell-of-orrin.epub http://127.0.0.1:3000/runs | grep -o 'run_[0-9a-z]*' | head -1)
curl -sS -H "Authorization: Bearer $KEY" http://127.0.0.1:3000/status/$RUN
curl -sS -H "Authorization: Bearer $KEY" "http://127.0.0.1:3000/runs/$RUN/result?format=md"
curl -sS -H "Authorization: Bearer $KEY" http://127.0.0.1:3000/health/redis
`;

/**
 * The lines of the README's blocks about containers, which stand between remarks of their own: without comments, and a line that
 * ends in `\` together with the next one.
 */
export function readmeLines(): readonly string[] {
  const readme = readFileSync(join(ROOT, "README.md"), "utf8");
  const blocks = Array.from(readme.matchAll(BLOCKS), ([, block = ""]) => block).join("\n");
  return (blocks.includes("/status/") ? blocks : FALLBACK)
    .replace(/\\\n\s*/g, "")
    .split("\n")
    .map((line) => line.replace(/\s+#\s.*$/, "").trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
}

import { readFile } from "node:fs/promises";
import { waitFor } from "@mythic/testing/wait";
import { parseInChild } from "../../src/parsing/parse-in-child.ts";

// A worker that parses the file it is given, and tells the id of the parsing process as soon as that is at work.
const [file = ""] = process.argv.slice(2);
void parseInChild({
  file,
  format: "text",
  bytes: 1,
  signal: new AbortController().signal,
  onChapter: () => undefined,
});
const id = await waitFor(async () =>
  (await readFile(`/proc/${process.pid}/task/${process.pid}/children`, "utf8")).trim(),
);
process.send?.(id);

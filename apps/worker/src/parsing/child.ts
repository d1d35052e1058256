import { Worker } from "node:worker_threads";
import { BookError, parseBook } from "@mythic/books";
import type { BookFormat } from "@mythic/runs";
import type { ParsingMessage } from "./messages.ts";

// The program of the parsing process: `child.ts <file> <format> <parent>`. It tells its parent chapter by chapter and ends; it
// holds no connection and knows no secret, so a hostile book that breaks it has broken nothing else.
const [file = "", format = "text", parent = ""] = process.argv.slice(2);

// Nobody would end a parser that hangs if the parent is killed, and in a loop no timer of this thread would come to it.
new Worker(new URL("./orphan-watch.ts", import.meta.url), { workerData: Number(parent) }).unref();

try {
  const parsed = await parseBook(file, format as BookFormat);
  for (const chapter of parsed.chapters) await tell({ type: "chapter", chapter });
  const { title, authors, language, warnings } = parsed;
  await tell({ type: "parsed", title, authors, language, warnings });
} catch (error) {
  if (!(error instanceof BookError)) throw error;
  await tell({ type: "refused", error: { code: error.code, detail: error.message } });
} finally {
  process.disconnect();
}

function tell(message: ParsingMessage): Promise<void> {
  return new Promise((resolve, reject) => {
    process.send?.(message, (error: Error | null) => (error ? reject(error) : resolve()));
  });
}

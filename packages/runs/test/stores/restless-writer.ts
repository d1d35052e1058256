/** A process of its own that writes until it is killed: `restless-writer.ts <directory>`. Says what was acknowledged. */
import { openSqliteStore } from "../../src/stores/sqlite/open-sqlite-store.ts";
import { newRun, opening, pieces } from "./samples.ts";

const store = await openSqliteStore({ directory: process.argv[2] ?? "" });
for (let at = 0; process.connected; at++) {
  const run = newRun("user");
  await store.runs.create("user", run);
  process.send?.({ run: run.id });
  const call = opening({ id: `${run.id}.call`, runId: run.id });
  await store.ledger.open("user", call);
  process.send?.({ call: run.id });
  const { bytes, sha256 } = await store.books.storeBytes(
    "user",
    run.bookId,
    pieces(String(at).repeat(100_000)),
  );
  await store.books.create("user", { id: run.bookId, bytes, sha256, format: "text", fileName: null });
  process.send?.({ book: run.bookId, sha256 });
}

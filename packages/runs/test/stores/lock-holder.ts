/** A process of its own that locks a SQLite file: `lock-holder.ts <file>`. Says so, and lets go at the first message. */
import { once } from "node:events";
import { DatabaseSync } from "node:sqlite";

const database = new DatabaseSync(process.argv[2] ?? "");
database.exec("BEGIN IMMEDIATE");
process.send?.("held");
await once(process, "message");
database.exec("ROLLBACK");
database.close();
process.disconnect();

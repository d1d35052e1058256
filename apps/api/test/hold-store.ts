import { once } from "node:events";
import { DatabaseSync } from "node:sqlite";

/** Holds the write lock of an SQLite file until its input ends. */
const [file = ""] = process.argv.slice(2);
const database = new DatabaseSync(file);
database.exec("BEGIN IMMEDIATE");
process.stdout.write("held\n");
process.stdin.resume();
await once(process.stdin, "end");
database.exec("ROLLBACK");

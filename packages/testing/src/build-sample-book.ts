import { writeFile } from "node:fs/promises";
import { buildSampleEpub, sampleEpub } from "./books.ts";

/** `npm run build:sample-book`: after every change of the sample book's sources. */
await writeFile(sampleEpub(), await buildSampleEpub());

import { readFileSync } from "node:fs";
import type { z } from "zod";

/** A setting that cannot be used. The message names every problem, one a line, and shows no value. */
export class ConfigurationError extends Error {
  override readonly name = "ConfigurationError";
  readonly problems: readonly string[];

  constructor(setting: string, problems: readonly string[]) {
    super(problems.map((problem) => `${setting}: ${problem}`).join("\n"));
    this.problems = problems;
  }
}

/** The JSON of a setting that is either a JSON object itself or the path of a file with JSON. */
export function readJsonSetting(setting: string, value: string): unknown {
  return value.trimStart().startsWith("{") ? parseJson(setting, value) : readJsonFile(setting, value);
}

export function readJsonFile(setting: string, path: string): unknown {
  const text = readText(path);
  if (text === null) throw new ConfigurationError(setting, ["the file cannot be read"]);
  return parseJson(setting, text);
}

/** Null for a file that cannot be read. */
export function readText(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

function parseJson(setting: string, text: string): unknown {
  let place = "";
  try {
    return JSON.parse(text);
  } catch (error) {
    // Of the engine's message no more than this, as it may quote the text, and with it a key.
    place = /at position \d+/.exec(String(error))?.[0] ?? "";
  }
  throw new ConfigurationError(setting, [`is not JSON ${place}`.trim()]);
}

/** A name that is surely no secret. */
const PLAIN_NAME = /^[a-zA-Z_]{1,40}$/;

/** What is wrong with a value, and where, in words that show nothing of it. */
export function problemsOf(error: z.ZodError, place: readonly PropertyKey[] = []): string[] {
  return error.issues.flatMap((issue) => {
    const where = [...place, ...issue.path].map(String).join(".");
    const at = where === "" ? "" : `${where}: `;
    if (issue.code !== "unrecognized_keys") return [`${at}${issue.message}`];
    return issue.keys.map(
      (key) => `${at}${PLAIN_NAME.test(key) ? `${key} is` : "there is a field that is"} not known`,
    );
  });
}

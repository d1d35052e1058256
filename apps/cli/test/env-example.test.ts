import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { apiSettings } from "@mythic/api/config";
import { workerSettings } from "@mythic/worker/config";
import { z } from "zod";
import { cliSettings } from "../src/config.ts";

const ROOT = join(import.meta.dirname, "../../..");
const SERVERS = [apiSettings, workerSettings];

/** Names and defaults of an app's variables. */
function settingsOf(schema: z.ZodObject): ReadonlyMap<string, unknown> {
  const shape = z.record(z.string(), z.instanceof(z.ZodType)).parse(schema.shape);
  return new Map(Object.entries(shape).map(([name, setting]) => [name, setting.safeParse(undefined).data]));
}

function text(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

/** Names and values of the example. */
function example(): ReadonlyMap<string, string> {
  const lines = text(".env.example").matchAll(/^#?([A-Z][A-Z0-9_]*)=(.*)$/gm);
  return new Map(Array.from(lines, ([, name = "", value = ""]) => [name, value]));
}

/** Variables of the environment that docker-compose.yaml puts in. */
function composeNames(): ReadonlySet<string> {
  return new Set(
    Array.from(text("docker-compose.yaml").matchAll(/\$\{([A-Z0-9_]+)/g), ([, name = ""]) => name),
  );
}

describe(".env.example", () => {
  test("names every variable that an app or the containers read, and no other", () => {
    const read = new Set<string>(composeNames());
    for (const app of [...SERVERS, cliSettings]) for (const name of settingsOf(app).keys()) read.add(name);
    expect([...example().keys()].sort()).toEqual([...read].sort());
  });

  test("shows the defaults", () => {
    // The command line is silent where the others log, and the place for data is another on each system.
    for (const app of SERVERS) {
      for (const [name, fallback] of settingsOf(app)) {
        if (fallback !== undefined && name !== "MYTHIC_DATA_DIR")
          expect(`${name}=${example().get(name)}`).toBe(`${name}=${String(fallback)}`);
      }
    }
  });

  test("sets nothing by itself", () => {
    expect(text(".env.example")).not.toMatch(/^[A-Z]/m);
  });

  test("shows the passwords that the containers have without it", () => {
    const used = text("docker-compose.yaml").matchAll(/\$\{([A-Z_]+PASSWORD):-([^}]*)\}/g);
    const defaults = new Map(Array.from(used, ([, name = "", value = ""]) => [name, value]));
    expect(defaults.size).toBe(3);
    for (const [name, value] of defaults) expect(example().get(name)).toBe(value);
  });
});

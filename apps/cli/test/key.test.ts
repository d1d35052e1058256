import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { mythic } from "./mythic.ts";
import { sampleText } from "./sample-text.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "mythic-key-"));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

function key(...words: string[]) {
  return mythic(["key", ...words], { env: { MYTHIC_DATA_DIR: folder } });
}

describe("keys", () => {
  test("are printed alone and once", async () => {
    const { code, stdout, stderr } = await key("create", "--user", "me", "--role", "admin");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^myth_live_\S+\n$/);
    expect(stderr).not.toContain(stdout.trim());
    const list = (await key("list")).stdout;
    expect(list).toMatch(/^key_\S+ +me +admin +…\S{4} +\S+Z$/m);
    expect(list).not.toContain(stdout.trim());
  });

  test("open as a user unless told otherwise", async () => {
    await key("create", "--user", "me");
    expect((await key("list")).stdout).toMatch(/^key_\S+ +me +user /m);
  });

  test("are revoked by their id, and stay in the list", async () => {
    const { stderr } = await key("create", "--user", "me");
    const id = /^key_\S+/.exec(stderr)?.[0] ?? "";
    expect((await key("revoke", id)).stdout).toBe(`${id} revoked\n`);
    expect((await key("list")).stdout).toMatch(/Z +\S+Z$/m);
  });

  test.each([
    [["revoke", "key_none"], 1, /^mythic: There is no key key_none\.$/m],
    [["create"], 2, /required option '--user <name>'/],
    [["create", "--user", "a b"], 2, /--user needs a name of letters/],
    [["create", "--user", "me", "--role", "king"], 2, /Allowed choices are user, admin/],
  ] as const)("refuse %j", async (words, code, message) => {
    const outcome = await key(...words);
    expect(outcome).toMatchObject({ code, stdout: "" });
    expect(outcome.stderr).toMatch(message);
  });

  test("do not shut the embedded server out of its own store", async () => {
    await key("create", "--user", "me");
    const file = join(folder, "Mara.txt");
    await writeFile(file, sampleText("Mara", 2));
    const env = { MYTHIC_DATA_DIR: folder };
    expect(await mythic(["process", file], { env, cwd: folder })).toMatchObject({ code: 0 });
  });
});

import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { dollars, nanoDollars } from "../src/money.ts";
import { folderName } from "../src/write-result.ts";
import { mythic } from "./mythic.ts";

describe("the command line", () => {
  test("shows its commands and how to begin", async () => {
    const { code, stdout } = await mythic(["--help"]);
    expect(code).toBe(0);
    expect(stdout).toContain("mythic process book.epub");
    const commands = ["process", "status", "result", "runs", "books", "cancel", "retry", "usage", "cache"];
    for (const command of [...commands, "serve", "key"])
      expect(stdout).toMatch(new RegExp(`^ {2}${command}\\b`, "m"));
  });

  test.each([
    ["an unknown command", ["fly"], /unknown command 'fly'/],
    ["a missing argument", ["process"], /missing required argument 'file'/],
    ["an unknown option", ["process", "x.epub", "--wings"], /unknown option '--wings'/],
    [
      "a file that does not exist",
      ["process", "/no/such/book.epub"],
      /^mythic: \/no\/such\/book.epub does not exist\.$/m,
    ],
    ["a folder", ["process", tmpdir()], /is not a file\.$/m],
    [
      "an amount that is none",
      ["process", "x", "--max-cost", "cheap"],
      /--max-cost needs an amount in dollars/,
    ],
    [
      "a server without a scheme",
      ["runs", "--server", "localhost:3000"],
      /--server needs an address such as http:/,
    ],
    ["a server that is no address", ["runs", "--server", "127.0.0.1:3000"], /--server needs an address/],
    ["no recipe at all", ["process", "x", "--recipes", " , "], /--recipes needs at least one name/],
  ])("ends with 2 on %s", async (_what, words, message) => {
    const { code, stdout, stderr } = await mythic(words);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(message);
  });

  test("names settings that cannot be used, without their values", async () => {
    const { code, stderr } = await mythic(["runs"], {
      env: { WORKER_CONCURRENCY: "secret-value", MYTHIC_SERVER: "secret-value" },
    });
    expect(code).toBe(2);
    expect(stderr).toContain("WORKER_CONCURRENCY: must be a whole number");
    expect(stderr).toContain("MYTHIC_SERVER: must be a URL");
    expect(stderr).not.toContain("secret-value");
  });

  test("needs no settings to show its help", async () => {
    expect((await mythic(["process", "--help"], { env: { WORKER_CONCURRENCY: "many" } })).code).toBe(0);
  });

  test("leaves nothing behind when it only refuses", async () => {
    const home = await mkdtemp(join(tmpdir(), "mythic-home-"));
    await mythic(["process", "/no/such/book.epub"], { env: { HOME: home } });
    expect(await readdir(home)).toEqual([]);
    await rm(home, { recursive: true });
  });
});

describe("amounts", () => {
  test.each([
    ["0.25", 250_000_000],
    ["3", 3_000_000_000],
    ["0.000000001", 1],
    ["0.1", 100_000_000],
    ["999999.999999999", 999_999_999_999_999],
  ])("%s dollars are exactly %d nano-dollars", (text, amount) => {
    expect(nanoDollars(text)).toBe(amount);
  });

  test.each(["", "-1", "1e3", "1,5", "$2", "0.0000000001", "1234567"])("%j is no amount", (text) => {
    expect(nanoDollars(text)).toBeNull();
  });

  test("small amounts keep two digits that say something", () => {
    expect([dollars(0), dollars(1_234_567), dollars(2_500_000_000)]).toEqual(["$0.00", "$0.0012", "$2.50"]);
  });
});

describe("the folder of a book", () => {
  const named = (title: string | null, file_name: string | null = null) =>
    folderName({ id: "book_1", title, file_name });

  test("is its title in plain letters", () => {
    expect(named("Où? Élan: Vol. 2")).toBe("ou-elan-vol-2");
  });

  test("keeps letters of any script", () => {
    expect(named("Война и мир")).toBe("война-и-мир");
    expect(named("हिन्दी कथा")).toBe("हिन्दी-कथा");
  });

  test("is the file's name when there is no title, and the book's id when neither names it", () => {
    expect(named(null, "My Book.epub")).toBe("my-book");
    expect(named("…", null)).toBe("book_1");
  });

  test("is never a device of Windows, nor longer than a file system takes", () => {
    expect(named("CON")).toBe("con-book");
    expect([...named("a".repeat(500))]).toHaveLength(60);
  });
});

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { inspect } from "node:util";
import { describe, expect, test } from "@jest/globals";
import { ConfigurationError } from "../../src/upstream/json-setting.ts";
import { priceOf, readPrices } from "../../src/upstream/prices.ts";
import { readUpstreams, Upstream, Upstreams } from "../../src/upstream/upstreams.ts";
import { folder } from "./folder.ts";

const SECRET = "sk-very-secret-0123456789";

async function reading(content: unknown, files: Readonly<Record<string, string>> = {}) {
  await using place = await folder();
  const path = join(place.path, "upstreams.json");
  await writeFile(path, typeof content === "string" ? content : JSON.stringify(content));
  for (const [name, text] of Object.entries(files)) await writeFile(join(place.path, name), text);
  return readUpstreams(path, readPrices(undefined));
}

/** The error of a file that cannot be used, which shows no key, whoever prints it. */
async function refusing(content: unknown, files: Readonly<Record<string, string>> = {}) {
  const error: unknown = await reading(content, files).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ConfigurationError)) throw new Error("It can be used.", { cause: error });
  expect(inspect(error, { showHidden: true, depth: null })).not.toContain("very-secret");
  return error;
}

const local = { name: "local", base_url: "http://127.0.0.1:11434/v1", models: ["llama-3.3-70b"] };
const cloud = {
  name: "cloud",
  base_url: "https://api.example.com/v1/",
  api_key: SECRET,
  models: ["gpt-5-mini", "our-deployment"],
  aliases: { "our-deployment": ["gpt-4o-2024-08-06"] },
  limits: { rpm: 500, tpm: 200_000 },
  prices: {
    date: "2026-11-01",
    source: "contract",
    models: { "our-deployment": { input: 2, output: 8 } },
  },
};

describe("upstreams", () => {
  test("are found by the name of the model", async () => {
    const upstreams = await reading([local, cloud]);
    expect(upstreams.of("gpt-5-mini")?.name).toBe("cloud");
    expect(upstreams.of("llama-3.3-70b")?.name).toBe("local");
    expect(upstreams.of("gpt-5-mini-2025-08-07")).toBeNull();
    expect(upstreams.of("toString")).toBeNull();
    expect(upstreams.of("*")).toBeNull();
    expect(upstreams.models).toEqual(["llama-3.3-70b", "gpt-5-mini", "our-deployment"]);
  });

  test("may have one for all models that no other names", async () => {
    const upstreams = await reading([{ ...local, models: ["*"] }, cloud]);
    expect(upstreams.of("gpt-5-mini")?.name).toBe("cloud");
    expect(upstreams.of("anything/else:free")?.name).toBe("local");
    expect(upstreams.models).toEqual(["gpt-5-mini", "our-deployment"]);
  });

  test("know their key, limits, prices and aliases", async () => {
    const upstream = (await reading([local, cloud])).of("our-deployment");
    expect(upstream?.revealKey()).toBe(SECRET);
    expect(upstream?.limits).toEqual({ requestsPerMinute: 500, tokensPerMinute: 200_000 });
    expect(upstream?.priceOf("our-deployment")).toMatchObject({ input: 2000, date: "2026-11-01" });
    expect(upstream?.priceOf("gpt-5-mini")).toBe(priceOf("gpt-5-mini"));
    expect(upstream?.isAlias("our-deployment", "gpt-4o-2024-08-06")).toBe(true);
    expect(upstream?.isAlias("our-deployment", "gpt-4o")).toBe(false);
    expect(upstream?.isAlias("gpt-5-mini", "gpt-4o-2024-08-06")).toBe(false);
  });

  test("need no key, and may have no known limits and prices", async () => {
    const upstream = (await reading([local])).of("llama-3.3-70b");
    expect(upstream?.revealKey()).toBe("none");
    expect(upstream?.limits).toEqual({ requestsPerMinute: null, tokensPerMinute: null });
    expect(upstream?.priceOf("llama-3.3-70b")).toBeNull();
  });

  test("may have their key in a file beside the list", async () => {
    const upstreams = await reading([{ ...local, api_key_file: "key" }], { key: `${SECRET}\n` });
    expect(upstreams.of("llama-3.3-70b")?.revealKey()).toBe(SECRET);
  });

  test("never show their key", async () => {
    const upstreams = await reading([cloud]);
    const options = { showHidden: true, getters: true, depth: null } as const;
    const seen = [inspect(upstreams, options), JSON.stringify(upstreams), String(upstreams.all[0])];
    expect(seen.join()).not.toContain("very-secret");
    expect(JSON.stringify({ ...upstreams.all[0] })).not.toContain("very-secret");
  });

  test.each([
    ["https://api.example.com/v1", "https://API.example.com:443/v1/"],
    ["http://127.0.0.1/v1", "http://user:password@127.0.0.1:80/v1//"],
  ])("T43 have one identity for %s and %s", (one, other) => {
    const identities = [one, other].map((baseUrl) => upstreamAt(baseUrl).identity);
    expect(identities[0]).toBe(identities[1]);
  });

  test("T43 have another identity at another address, and the same with another key (agentopt #95)", () => {
    const addresses = ["https://a.example.com/v1", "https://b.example.com/v1", "https://a.example.com/v2"];
    expect(new Set(addresses.map((baseUrl) => upstreamAt(baseUrl).identity)).size).toBe(3);
    expect(upstreamAt("https://a.example.com/v1", "other").identity).toBe(
      upstreamAt("https://a.example.com/v1").identity,
    );
  });
});

function upstreamAt(baseUrl: string, apiKey = "key"): Upstream {
  return new Upstream({ name: "one", baseUrl, apiKey, models: ["*"] });
}

describe("a list of upstreams that cannot be used", () => {
  test("says everything that is wrong at once, by place", async () => {
    const { message, problems } = await refusing([
      { ...cloud, name: "Cloud!", base_url: "ftp://api.example.com", models: [], apiKey: SECRET },
      { ...local, api_key: SECRET, api_key_file: "missing", limits: { rpm: 0, tpm: 1.5, rps: 1 } },
      { ...local, base_url: `https://user:${SECRET}@api.example.com/v1`, aliases: { other: ["x"] } },
      "local",
    ]);
    expect(problems).toEqual(
      expect.arrayContaining([
        "0.name: must be lower-case letters, digits, - and _",
        "0.base_url: must be a URL that begins with http: or https:",
        expect.stringMatching(/^0\.models: /),
        "0: apiKey is not known",
        expect.stringMatching(/^1\.limits\.rpm: /),
        expect.stringMatching(/^1\.limits\.tpm: /),
        "1.limits: rps is not known",
        "2.base_url: must hold no user or password",
        expect.stringMatching(/^3: /),
        "the name local is there more than once",
        "the model llama-3.3-70b is there more than once",
      ]),
    );
    expect(message.split("\n")).toEqual(problems.map((problem) => `MYTHIC_UPSTREAMS: ${problem}`));
  });

  test.each([
    [{ api_key: SECRET, api_key_file: "key" }, "0.api_key: give it or api_key_file, not both"],
    [{ api_key_file: "missing" }, "0.api_key_file: the file cannot be read"],
    [{ api_key_file: "empty" }, "0.api_key_file: the file holds no key"],
    [{ api_key_file: "two-lines" }, "0.api_key_file: the file holds no key"],
    [{ api_key: `${SECRET}\n` }, "0.api_key: must be printable ASCII without spaces"],
    [{ base_url: "https://api.example.com/v1?key=1" }, "0.base_url: must end with its path"],
    [{ aliases: { other: ["x"] } }, "0.aliases: number 1 is for a model that is not in models"],
    [{ [SECRET]: true }, "0: there is a field that is not known"],
    [{ models: ["a", "a"] }, "the model a is there more than once"],
  ])("with %j says what is wrong", async (extra, problem) => {
    const files = { key: SECRET, empty: "\n", "two-lines": `${SECRET}\n${SECRET}` };
    expect((await refusing([{ ...local, ...extra }], files)).problems).toEqual([problem]);
  });

  test.each([
    [`[{"api_key": ${SECRET}}]`, "is not JSON"],
    [`[{"api_key": "${SECRET}" "name": 1}]`, "is not JSON at position 41"],
    ["{}", "must be a list with at least one upstream"],
    ["[]", "must be a list with at least one upstream"],
  ])("%#: says what is wrong with the whole, and not what is in it", async (content, problem) => {
    expect((await refusing(content)).problems).toEqual([problem]);
  });

  test("that is not there says so", () => {
    expect(() => readUpstreams("/there/is/no/such/file.json")).toThrow(
      "MYTHIC_UPSTREAMS: the file cannot be read",
    );
  });
});

test("without upstreams nobody is asked", () => {
  expect(new Upstreams([]).of("gpt-5-mini")).toBeNull();
});

import { describe, expect, test } from "@jest/globals";
import { checkFormat } from "../../src/answers/check-format.ts";

const asking = (schema: unknown) => ({
  model: "m",
  messages: [],
  response_format: { type: "json_schema", json_schema: { name: "a", schema } },
});
const BIRD = {
  type: "object",
  properties: {
    wings: { type: "integer", minimum: 0 },
    kin: { type: "array", items: { $ref: "#/$defs/name" } },
  },
  required: ["wings"],
  additionalProperties: false,
  $defs: { name: { type: "string", maxLength: 5 } },
};

describe("the format of an answer", () => {
  test.each([
    ['{"wings":2,"kin":["owl"]}', "fits"],
    ['{"wings":"two"}', "broken"],
    ['{"wings":-1}', "broken"],
    ['{"wings":2,"kin":["pelican"]}', "broken"],
    ['{"wings":2,"beak":1}', "broken"],
    ["{}", "broken"],
    ["[]", "broken"],
    ['{"wings":2', "broken"],
  ])("of %s is judged by the schema that was asked for", (text, verdict) => {
    expect(checkFormat(asking(BIRD), text)).toBe(verdict);
  });

  test("is broken without a property that is required and described nowhere", () => {
    expect(checkFormat(asking({ type: "object", required: ["wings"] }), "{}")).toBe("broken");
  });

  test("is judged by one of several shapes", () => {
    const schema = { anyOf: [{ type: "string" }, { type: "object", required: ["error"] }] };
    expect(checkFormat(asking(schema), '"yes"')).toBe("fits");
    expect(checkFormat(asking(schema), "1")).toBe("broken");
  });

  test("of JSON without a schema is that it is JSON", () => {
    const request = { model: "m", messages: [], response_format: { type: "json_object" } };
    expect(checkFormat(request, "{}")).toBe("fits");
    expect(checkFormat(request, "no")).toBe("broken");
  });

  test.each([undefined, null, { type: "text" }, "json"])("is none where %j is asked for", (format) => {
    expect(checkFormat({ model: "m", messages: [], response_format: format }, "x")).toBe("none");
  });

  test.each([
    ["an expression, which could take for ever", { type: "string", pattern: "^(a+)+$" }],
    ["a schema elsewhere", { $ref: "https://example.com/schema.json" }],
    ["itself", { $ref: "#" }],
  ])("is not known where the schema has %s", (_what, schema) => {
    expect(checkFormat(asking(schema), `"${"a".repeat(40)}!"`)).toBe("none");
  });
});

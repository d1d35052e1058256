import { describe, expect, test } from "@jest/globals";
import { z } from "zod";
import { toStrictJsonSchema } from "../src/strict-json-schema.ts";
import { chapterAnswerSchema, mergeAnswerSchema } from "../src/summary/schema.ts";

describe("a strict JSON schema", () => {
  test.each([
    ["chapter answers", chapterAnswerSchema],
    ["merge answers", mergeAnswerSchema],
  ])("exists for %s", (_, schema) => {
    const json = toStrictJsonSchema(schema);
    expect(json).toMatchObject({
      type: "object",
      additionalProperties: false,
      required: ["paragraph", "keyPoints"],
    });
    expect(json).not.toHaveProperty("$schema");
  });

  test("holds what the strict subset knows", () => {
    const schema = z.strictObject({
      kind: z.enum(["a", "b"]),
      fixed: z.literal("x"),
      either: z.union([z.string(), z.number()]).nullable(),
      many: z.array(z.strictObject({ on: z.boolean() })),
    });
    expect(Object.keys(toStrictJsonSchema(schema))).toEqual([
      "type",
      "properties",
      "required",
      "additionalProperties",
    ]);
  });

  test.each([
    ["an optional property", z.strictObject({ a: z.string().optional() }), "#/a is optional"],
    ["a default", z.strictObject({ a: z.string().default("x") }), "#/a uses default"],
    ["a length", z.strictObject({ a: z.string().max(3) }), "#/a uses maxLength"],
    ["a range", z.strictObject({ a: z.array(z.number().min(1)) }), "#/a/items uses minimum"],
    ["a number of items", z.strictObject({ a: z.array(z.string()).min(1) }), "#/a uses minItems"],
    [
      "an open object deep inside",
      z.strictObject({ a: z.array(z.looseObject({})) }),
      "#/a/items allows additional properties",
    ],
    [
      "a fault in an alternative",
      z.strictObject({ a: z.union([z.string(), z.string().max(2)]) }),
      "#/a/anyOf/1 uses maxLength",
    ],
    ["a record", z.strictObject({ a: z.record(z.string(), z.string()) }), "#/a uses propertyNames"],
  ])("is refused for %s", (_, schema, problem) => {
    expect(() => toStrictJsonSchema(schema)).toThrow(problem);
  });
});

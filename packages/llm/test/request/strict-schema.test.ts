import { expect, test } from "@jest/globals";
import { z } from "zod";
import { toStrictSchema } from "../../src/request/strict-schema.ts";

test("every object is closed and all its properties are required, at any depth", () => {
  const schema = z.object({
    title: z.string().min(3).describe("Short."),
    notes: z.array(z.object({ text: z.string().optional(), kind: z.enum(["a", "b"]) })).max(5),
    end: z.nullable(z.int().positive()),
  });
  expect(toStrictSchema(schema)).toEqual({
    type: "object",
    properties: {
      title: { type: "string", description: "Short." },
      notes: {
        type: "array",
        items: {
          type: "object",
          properties: { text: { type: "string" }, kind: { type: "string", enum: ["a", "b"] } },
          required: ["text", "kind"],
          additionalProperties: false,
        },
      },
      end: { anyOf: [{ type: "integer" }, { type: "null" }] },
    },
    required: ["title", "notes", "end"],
    additionalProperties: false,
  });
});

test("a schema that refers to itself keeps its references", () => {
  const node = z.object({
    name: z.string(),
    get children() {
      return z.array(node);
    },
  });
  const json = JSON.stringify(toStrictSchema(z.object({ root: node })));
  expect(json).toContain('"$ref"');
  expect(json).toContain('"$defs"');
});

test.each([
  ["a record", z.object({ map: z.record(z.string(), z.string()) })],
  ["a tuple", z.object({ pair: z.tuple([z.string(), z.string()]) })],
  ["a list at the root", z.array(z.string())],
])("%s is refused, as the strict subset has none", (_name, schema) => {
  expect(() => toStrictSchema(schema)).toThrow(TypeError);
});

import { z } from "zod";

/** A JSON Schema in the strict subset. */
export type StrictSchema = { readonly [keyword: string]: unknown };

/**
 * Keywords that endpoints with strict structured outputs take. Others are left out: what they would check is checked by zod when
 * the answer is there.
 */
const TAKEN = new Set(["type", "description", "enum", "const", "$ref"]);

/**
 * The JSON Schema of what a model has to write, with every object closed and all its properties required. Throws a TypeError for
 * what the strict subset cannot say at all, such as a record with keys of the model's choice.
 */
export function toStrictSchema(schema: z.ZodType): StrictSchema {
  const strict = makeStrict(z.toJSONSchema(schema, { io: "input" }), "#");
  if (strict["type"] !== "object") throw new TypeError("A strict schema is an object at its root.");
  return strict;
}

function makeStrict(node: unknown, place: string): StrictSchema {
  if (!isObject(node)) throw new TypeError(`${place} is not a schema.`);
  const strict: Record<string, unknown> = {};
  for (const [keyword, value] of Object.entries(node)) {
    if (TAKEN.has(keyword)) strict[keyword] = value;
    if (keyword === "items") strict[keyword] = makeStrict(value, `${place}/items`);
    if (keyword === "$defs") strict[keyword] = makeAllStrict(value, `${place}/$defs`);
    if (keyword === "anyOf" || keyword === "oneOf") strict["anyOf"] = makeListStrict(value, place);
    if (["allOf", "not", "prefixItems", "patternProperties"].includes(keyword)) {
      throw new TypeError(`${place} uses ${keyword}, which no strict schema has.`);
    }
  }
  if (node["type"] === "object") Object.assign(strict, closeObject(node, place));
  return strict;
}

function closeObject(node: StrictSchema, place: string): StrictSchema {
  if (isObject(node["additionalProperties"]) && Object.keys(node["additionalProperties"]).length > 0) {
    throw new TypeError(`${place} takes any keys, which no strict schema does.`);
  }
  const properties = makeAllStrict(node["properties"] ?? {}, place);
  return { properties, required: Object.keys(properties), additionalProperties: false };
}

function makeAllStrict(nodes: unknown, place: string): StrictSchema {
  if (!isObject(nodes)) throw new TypeError(`${place} is not a set of schemas.`);
  return Object.fromEntries(
    Object.entries(nodes).map(([name, child]) => [name, makeStrict(child, `${place}/${name}`)]),
  );
}

function makeListStrict(nodes: unknown, place: string): StrictSchema[] {
  return Array.isArray(nodes)
    ? nodes.map((child, index) => makeStrict(child, `${place}/anyOf/${index}`))
    : [];
}

function isObject(value: unknown): value is StrictSchema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

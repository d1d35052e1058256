import { z } from "zod";

type JsonObject = { readonly [key: string]: unknown };

/** Keywords that every endpoint with strict structured outputs understands. */
const ALLOWED = new Set([
  "type",
  "properties",
  "required",
  "additionalProperties",
  "items",
  "enum",
  "description",
  "anyOf",
  "$defs",
  "$ref",
  "const",
]);

/**
 * The JSON Schema of a zod schema, proved to keep to the strict subset: every object closed and all its properties required, no
 * keyword outside the list above. Throws a TypeError that names the place where it does not; lengths and ranges are therefore
 * checked by our own code after parsing.
 */
export function toStrictJsonSchema(schema: z.ZodType): JsonObject {
  const { $schema: _dialect, "~standard": _standard, ...json } = z.toJSONSchema(schema) as JsonObject;
  const problem = findProblem(json, "#");
  if (problem !== null) {
    throw new TypeError(`not a strict JSON schema: ${problem}`);
  }
  return json;
}

function findProblem(node: unknown, place: string): string | null {
  if (!isObject(node)) {
    return `${place} is not a schema object`;
  }
  const foreign = Object.keys(node).find((keyword) => !ALLOWED.has(keyword));
  if (foreign !== undefined) {
    return `${place} uses ${foreign}`;
  }
  return findOpenObject(node, place) ?? firstProblem(schemasBelow(node, place));
}

function findOpenObject(node: JsonObject, place: string): string | null {
  if (node["type"] !== "object") {
    return null;
  }
  if (node["additionalProperties"] !== false) {
    return `${place} allows additional properties`;
  }
  const required = Array.isArray(node["required"]) ? node["required"] : [];
  const optional = Object.keys(isObject(node["properties"]) ? node["properties"] : {}).find(
    (name) => !required.includes(name),
  );
  return optional === undefined ? null : `${place}/${optional} is optional`;
}

function schemasBelow(node: JsonObject, place: string): [unknown, string][] {
  const below: [unknown, string][] = [];
  for (const keyword of ["properties", "$defs"]) {
    for (const [name, child] of Object.entries(isObject(node[keyword]) ? node[keyword] : {})) {
      below.push([child, `${place}/${name}`]);
    }
  }
  if (node["items"] !== undefined) {
    below.push([node["items"], `${place}/items`]);
  }
  for (const [index, child] of (Array.isArray(node["anyOf"]) ? node["anyOf"] : []).entries()) {
    below.push([child, `${place}/anyOf/${index}`]);
  }
  return below;
}

function firstProblem(schemas: readonly [unknown, string][]): string | null {
  for (const [schema, place] of schemas) {
    const problem = findProblem(schema, place);
    if (problem !== null) {
      return problem;
    }
  }
  return null;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

import { fitString } from "./fit-string.ts";
import { isRecord, type JsonSchema } from "./request.ts";
import type { SourceText } from "./source-text.ts";

/** Below this depth a schema that refers to itself is ended by its smallest branch. */
const MAX_DEPTH = 8;
const USUAL_ITEMS = 3;
/** Lists of statements' ids: `ids`, `points`, `keyPoints`, `point_ids`. */
const ID_LIST = /(?:^|[a-z_])(?:ids|points)$/i;

interface Place {
  /** Of the property that the value belongs to; items have their list's. */
  readonly name: string;
  /** Path in the answer, which makes each draw its own. */
  readonly path: string;
  readonly depth: number;
}

/** A value that fits the schema, the same one for the same source. Throws for a schema that it cannot fit. */
export function fitSchema(schema: JsonSchema, source: SourceText): unknown {
  const make = (part: JsonSchema, place: Place): unknown => {
    if (typeof part["$ref"] === "string") return make(resolve(schema, part["$ref"]), deeper(place, "$"));
    if ("const" in part) return part["const"];
    if (Array.isArray(part["enum"])) return part["enum"][source.draw(place.path, part["enum"].length)];
    const branches = part["anyOf"] ?? part["oneOf"];
    if (Array.isArray(branches)) return make(chooseBranch(branches, schema, place), deeper(place, "|"));
    if (Array.isArray(part["allOf"])) return make(mergeAll(part["allOf"], schema), deeper(place, "&"));
    return fitType(part, place);
  };

  const fitType = (part: JsonSchema, place: Place): unknown => {
    switch (typeOf(part)) {
      case "object":
        return fitObject(part, place);
      case "array":
        return fitArray(part, place);
      case "string":
        return fitString(part, place, source);
      case "integer":
      case "number":
        return fitNumber(part, source.draw(place.path, 1000));
      case "boolean":
        return source.draw(place.path, 2) === 1;
      case "null":
        return null;
      default:
        throw new Error(`No value is known for the schema at ${place.path}.`);
    }
  };

  const fitObject = (part: JsonSchema, place: Place): unknown => {
    const properties = isRecord(part["properties"]) ? part["properties"] : {};
    return Object.fromEntries(
      Object.entries(properties)
        .filter((entry): entry is [string, JsonSchema] => isRecord(entry[1]))
        .map(([name, property]) => [
          name,
          make(property, { name, path: `${place.path}.${name}`, depth: place.depth + 1 }),
        ]),
    );
  };

  const fitArray = (part: JsonSchema, place: Place): unknown => {
    const items = isRecord(part["items"]) ? part["items"] : {};
    const least = numberOr(part["minItems"], 0);
    const usual = place.depth > MAX_DEPTH ? 0 : USUAL_ITEMS;
    const count = Math.min(Math.max(least, usual), numberOr(part["maxItems"], Number.POSITIVE_INFINITY));
    if (ID_LIST.test(place.name) && typeOf(items) === "string") {
      const many = Math.max(count, Math.ceil((source.idGroups + 1) / 2));
      const ids = source.nextIds(Math.min(many, numberOr(part["maxItems"], many)));
      if (ids.length >= least) return ids;
    }
    return Array.from({ length: count }, (_, index) =>
      make(items, { name: place.name, path: `${place.path}[${index}]`, depth: place.depth + 1 }),
    );
  };

  return make(schema, { name: "", path: "", depth: 0 });
}

function deeper(place: Place, step: string): Place {
  return { ...place, path: `${place.path}${step}`, depth: place.depth + 1 };
}

function resolve(root: JsonSchema, reference: string): JsonSchema {
  let found: unknown = root;
  for (const step of reference.replace(/^#\/?/, "").split("/").filter(Boolean)) {
    found = isRecord(found) ? found[step.replaceAll("~1", "/").replaceAll("~0", "~")] : undefined;
  }
  if (!isRecord(found)) throw new Error(`The schema has no ${reference}.`);
  return found;
}

/** The first branch that is not null, or a null or plain one where the answer is deep already. */
function chooseBranch(branches: readonly unknown[], root: JsonSchema, place: Place): JsonSchema {
  const known = branches.filter(isRecord);
  const flat = (branch: JsonSchema) => {
    const target = typeof branch["$ref"] === "string" ? resolve(root, branch["$ref"]) : branch;
    return !["object", "array"].includes(typeOf(target));
  };
  const chosen =
    place.depth > MAX_DEPTH ? known.find(flat) : known.find((branch) => branch["type"] !== "null");
  const fallback = chosen ?? known[0];
  if (fallback === undefined) throw new Error(`No branch fits at ${place.path}.`);
  return fallback;
}

function mergeAll(parts: readonly unknown[], root: JsonSchema): JsonSchema {
  let merged: JsonSchema = {};
  for (const part of parts.filter(isRecord)) {
    const target = typeof part["$ref"] === "string" ? resolve(root, part["$ref"]) : part;
    const properties = {
      ...(isRecord(merged["properties"]) ? merged["properties"] : {}),
      ...(isRecord(target["properties"]) ? target["properties"] : {}),
    };
    merged = { ...merged, ...target, properties };
  }
  return merged;
}

function typeOf(schema: JsonSchema): string {
  const type = schema["type"];
  if (typeof type === "string") return type;
  if (Array.isArray(type)) return String(type.find((one) => one !== "null") ?? "null");
  if (isRecord(schema["properties"])) return "object";
  return isRecord(schema["items"]) ? "array" : "string";
}

function numberOr(value: unknown, otherwise: number): number {
  return typeof value === "number" ? value : otherwise;
}

function fitNumber(schema: JsonSchema, drawn: number): number {
  const step = numberOr(schema["multipleOf"], 1);
  const above = schema["exclusiveMinimum"];
  const below = schema["exclusiveMaximum"];
  const whole = typeOf(schema) === "integer" || "multipleOf" in schema;
  const gap = whole ? step : Number.EPSILON * 2 ** 20;
  const given = typeof above === "number" ? above + gap : schema["minimum"];
  const most =
    typeof below === "number" ? below - gap : numberOr(schema["maximum"], Number.POSITIVE_INFINITY);
  const least = numberOr(given, Math.min(1, most));
  if (!whole) return Math.min(least, most);
  const first = Math.ceil(least / step);
  const last = Math.min(Math.floor(most / step), first + 9);
  return (first + (drawn % Math.max(1, last - first + 1))) * step;
}

import { type Schema, Validator } from "@cfworker/json-schema";
import { z } from "zod";
import type { ChatRequest } from "../request/chat-request.ts";
import type { SchemaVerdict } from "./storing-rules.ts";

const formatSchema = z.object({
  type: z.string(),
  json_schema: z.object({ schema: z.record(z.string(), z.unknown()).nullish() }).nullish(),
});

/** Whether the text of an answer has the format that its request asks for. `none`: it asks for none that can be checked. */
export function checkFormat({ response_format: asked }: ChatRequest, text: string): SchemaVerdict {
  const format = formatSchema.safeParse(asked);
  if (!format.success || format.data.type === "text") return "none";
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return "broken";
  }
  const schema = format.data.json_schema?.schema;
  return schema ? checkValue(schema, value) : "fits";
}

function checkValue(schema: Readonly<Record<string, unknown>>, value: unknown): SchemaVerdict {
  if (hasPatterns(schema)) return "none";
  try {
    return new Validator(schema as Schema, "2020-12").validate(value).valid ? "fits" : "broken";
  } catch {
    // A schema that refers to what is not in it, or to itself without end.
    return "none";
  }
}

/** A caller's expression could take for ever, and hold up everyone else. */
const PATTERNS: ReadonlySet<string> = new Set(["pattern", "patternProperties", "format"]);

/** Also where a property has such a name: then it is not known whether an answer fits, which loses no more than its reuse. */
function hasPatterns(schema: unknown): boolean {
  if (typeof schema !== "object" || schema === null) return false;
  return Object.entries(schema).some(([name, inner]) => PATTERNS.has(name) || hasPatterns(inner));
}

import type { z } from "zod";
import type { FieldError } from "./errors.ts";

/** Fields that are named at once. */
const MOST_ERRORS = 20;

/** Says of each field what is wrong with it, without showing what was in it. */
export function fieldErrors(error: z.core.$ZodError, place: "body" | "query"): readonly FieldError[] {
  return error.issues.slice(0, MOST_ERRORS).map((issue) => {
    const path = issue.path.map(String);
    const detail =
      issue.code === "unrecognized_keys" ? "There are fields here that are not known." : issue.message;
    return place === "body" ? { pointer: pointerOf(path), detail } : { parameter: path[0] ?? "", detail };
  });
}

/** A JSON pointer as in RFC 6901. */
function pointerOf(path: readonly string[]): string {
  return path.map((part) => `/${part.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}

import { z } from "zod";

export const timeSchema = z.iso.datetime().meta({ description: "ISO 8601, in UTC." });

export const failureSchema = z
  .object({
    code: z.string().meta({ description: "Stable; see the table of codes in docs/errors.md." }),
    detail: z.string().meta({ description: "A sentence for people." }),
  })
  .meta({ id: "Failure" });

/** The body of every answer that is no success (RFC 9457). */
export const problemSchema = z
  .looseObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.string(),
    request_id: z.string(),
    errors: z
      .array(
        z.object({ pointer: z.string().optional(), parameter: z.string().optional(), detail: z.string() }),
      )
      .optional(),
  })
  .meta({ id: "Problem" });

/** One page of a list, newest first. */
export function listSchema<Item extends z.ZodType>(item: Item, id: string) {
  return z
    .object({
      data: z.array(item),
      has_more: z.boolean(),
      next: z.string().nullable().meta({ description: "Pass it as `after` for the next page." }),
    })
    .meta({ id });
}

import { type IdPrefix, isId } from "@mythic/runs";
import { z } from "zod";

const idSchema = (prefix: Extract<IdPrefix, "book" | "run">) =>
  z
    .string()
    .refine((text) => isId(prefix, text), `There is no ${prefix} with this id.`)
    .meta({ description: `Id of a ${prefix}.` });

export const bookPath = z.object({ id: idSchema("book") });
export const runPath = z.object({ id: idSchema("run") });
export const statusPath = z.object({ run_id: idSchema("run") });

/** A whole number in a query. */
export const wholeNumber = (least: number, most: number, usual: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, "A whole number is needed.")
    .transform(Number)
    .pipe(z.int().min(least, `At least ${least}.`).max(most, `At most ${most}.`))
    .default(usual);

const MOST_PER_PAGE = 100;
const USUAL_PER_PAGE = 20;

/** The page of a list. */
export const pageQuery = (prefix: Extract<IdPrefix, "book" | "run">) =>
  z.object({
    limit: wholeNumber(1, MOST_PER_PAGE, USUAL_PER_PAGE),
    after: z
      .string()
      .refine((text) => isId(prefix, text), "Pass what `next` of the page before was.")
      .optional()
      .meta({ description: "`next` of the page before." }),
  });

export const idempotencyHeader = z.object({
  "Idempotency-Key": z
    .string()
    .max(255)
    .optional()
    .meta({ description: "The same key and request within 24 hours gets the first answer again." }),
});

export const preferHeader = z.object({
  Prefer: z.string().optional().meta({
    description: "`wait=25`: answer when the run has changed, or after so many seconds (30 at most).",
  }),
});

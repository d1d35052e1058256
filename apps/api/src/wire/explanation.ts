import { z } from "zod";

export const explanationSchema = z
  .object({
    cause: z.enum([
      "none",
      "uncacheable",
      "mode",
      "variants",
      "too_old",
      "expired",
      "not_stored",
      "key_version",
      "different",
      "nothing_like_it",
    ]),
    sentence: z.string().meta({ description: "For people." }),
    differences: z.array(z.object({ field: z.string(), how: z.enum(["changed", "added", "removed"]) })),
    about: z
      .string()
      .nullable()
      .meta({ description: "Digest of the key of the past answer that this is about." }),
  })
  .meta({ id: "Explanation" });

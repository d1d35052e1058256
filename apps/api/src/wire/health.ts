import { z } from "zod";
import { timeSchema } from "./shared.ts";

export const liveSchema = z.object({ status: z.literal("ok") }).meta({ id: "Live" });

export const readySchema = z
  .object({
    status: z.enum(["ok", "degraded"]).meta({ description: "`degraded`: a Redis is not as it should be." }),
  })
  .meta({ id: "Ready" });

const breakerSchema = z
  .object({
    state: z
      .enum(["closed", "open", "half-open"])
      .meta({ description: "`closed`: Redis is asked. `open`: it is not." }),
    opens: z.int(),
    timeouts: z.int(),
    errors: z.int(),
    opened_at: timeSchema.nullable(),
  })
  .meta({ id: "Breaker" });

const roleSchema = z
  .object({
    state: z.enum(["ok", "degraded", "unreachable", "not_configured"]),
    latency_ms: z.number().nullable().optional(),
    version: z.string().nullable().optional(),
    used_memory: z.int().nullable().optional().meta({ description: "Bytes." }),
    max_memory: z.int().nullable().optional().meta({ description: "Bytes; null without a limit." }),
    policy: z.string().nullable().optional(),
    breaker: breakerSchema.nullable().optional(),
    tracking: z.enum(["tracking", "pub-sub", "lost", "off"]).optional().meta({
      description: "How this process hears what others change in the cache.",
    }),
    last_error: z.string().nullable().optional(),
  })
  .meta({ id: "RedisRole", description: "Everything but the state is shown to admins alone." });

export const redisSchema = z
  .object({
    status: z.enum(["ok", "degraded", "off"]).meta({ description: "`off`: no Redis is configured." }),
    roles: z.object({ queue: roleSchema, cache: roleSchema }),
  })
  .meta({ id: "RedisHealth" });

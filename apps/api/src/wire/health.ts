import { z } from "zod";

export const liveSchema = z.object({ status: z.literal("ok") }).meta({ id: "Live" });

export const readySchema = z
  .object({
    status: z.enum(["ok", "degraded"]).meta({ description: "`degraded`: a Redis is not reachable." }),
  })
  .meta({ id: "Ready" });

const roleSchema = z
  .object({
    state: z.enum(["ok", "unreachable", "not_configured"]),
    latency_ms: z.number().nullable().optional(),
    version: z.string().nullable().optional(),
    used_memory: z.int().nullable().optional().meta({ description: "Bytes." }),
    max_memory: z.int().nullable().optional().meta({ description: "Bytes; null without a limit." }),
    policy: z.string().nullable().optional(),
    last_error: z.string().nullable().optional(),
  })
  .meta({ id: "RedisRole", description: "Everything but the state is shown to admins alone." });

export const redisSchema = z
  .object({
    status: z.enum(["ok", "degraded", "off"]).meta({ description: "`off`: no Redis is configured." }),
    roles: z.object({ queue: roleSchema, cache: roleSchema }),
  })
  .meta({ id: "RedisHealth" });

import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { ADDRESS_FORMS, isRedisAddress, redisAddress } from "@mythic/shared/redis";
import { z } from "zod";

/** The environment cannot be used. The message names every problem, one a line, and shows no value. */
export class SettingsError extends Error {
  override readonly name = "SettingsError";
}

const url = (...protocols: string[]) =>
  z.string().refine((text) => URL.canParse(text) && protocols.includes(new URL(text).protocol), {
    error: `must be a URL that begins with ${protocols.join(" or ")}`,
  });

const redisUrl = z.string().refine(isRedisAddress, { error: `must be ${ADDRESS_FORMS}` });

/** A whole number in a variable. */
export const wholeNumber = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d+$/, "must be a whole number")
    .transform(Number)
    .pipe(z.number().min(least, `must be at least ${least}`).max(most, `must be at most ${most}`));

/** Where the system of record is. Without MONGODB_URL it is SQLite in MYTHIC_DATA_DIR. */
export const storeSettings = {
  MONGODB_URL: url("mongodb:", "mongodb+srv:").optional(),
  MYTHIC_DATA_DIR: z
    .string()
    .min(1)
    .default(() => defaultDataDir(process.platform)),
};

/**
 * Where programs keep their data, whatever folder they are started in, so that API, worker and CLI mean the same store:
 * `~/.local/share` (XDG Base Directory Specification 0.8), on macOS `~/Library/Application Support`, on Windows `AppData\\Local`.
 */
export function defaultDataDir(platform: NodeJS.Platform): string {
  if (platform === "darwin") return join(homedir(), "Library", "Application Support", "mythic");
  if (platform === "win32") return join(homedir(), "AppData", "Local", "mythic");
  return join(homedir(), ".local", "share", "mythic");
}

/** Where Redis is. One REDIS_URL serves both roles; the others split them; a URL beats REDIS_HOST and its companions. */
export const redisSettings = {
  REDIS_URL: redisUrl.optional(),
  QUEUE_REDIS_URL: redisUrl.optional(),
  CACHE_REDIS_URL: redisUrl.optional(),
  REDIS_HOST: z.string().min(1).optional(),
  REDIS_PORT: wholeNumber(1, 65_535).optional(),
  REDIS_DB: wholeNumber(0, 1_000_000).optional(),
  REDIS_PASSWORD: z.string().min(1).optional(),
};

export const logSettings = {
  LOG_LEVEL: z.enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"]).default("info"),
};

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads the variables that a schema names, and no others. `NAME_FILE` gives the path of a file with the value of `NAME`, for
 * secrets; an empty variable counts as absent.
 *
 * @throws SettingsError with all problems at once
 */
export function readSettings<Shape extends z.ZodRawShape>(
  schema: z.ZodObject<Shape>,
  environment: Environment,
): z.infer<z.ZodObject<Shape>> {
  const problems: string[] = [];
  const values: Record<string, string> = {};
  for (const name of Object.keys(schema.shape)) {
    const value = readVariable(name, environment, problems);
    if (value !== undefined) values[name] = value;
  }
  const parsed = schema.safeParse(values);
  if (!parsed.success) {
    for (const issue of parsed.error.issues) problems.push(`${issue.path.join(".")}: ${issue.message}`);
  }
  if (problems.length > 0 || !parsed.success) throw new SettingsError(problems.join("\n"));
  return parsed.data;
}

function readVariable(name: string, environment: Environment, problems: string[]): string | undefined {
  const direct = environment[name];
  const path = environment[`${name}_FILE`];
  if (direct && path) problems.push(`${name}: give it or ${name}_FILE, not both`);
  if (direct) return direct;
  if (!path) return undefined;
  try {
    return readFileSync(path, "utf8").trim() || undefined;
  } catch {
    problems.push(`${name}_FILE: the file cannot be read`);
    return undefined;
  }
}

type RedisSettings = z.infer<z.ZodObject<typeof redisSettings>>;

/** The address of a role's Redis, or null when none is configured. */
export function redisUrlOf(settings: RedisSettings, role: "queue" | "cache"): string | null {
  const own = role === "queue" ? settings.QUEUE_REDIS_URL : settings.CACHE_REDIS_URL;
  return redisAddress({
    url: own ?? settings.REDIS_URL,
    host: settings.REDIS_HOST,
    port: settings.REDIS_PORT,
    db: settings.REDIS_DB,
    password: settings.REDIS_PASSWORD,
  });
}

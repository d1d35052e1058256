import { z } from "zod";
import type { UserLimits } from "./answers/paid-calls.ts";
import { isEncryptionKey } from "./answers/sealing.ts";
import { ConfigurationError } from "./upstream/json-setting.ts";
import { readPrices } from "./upstream/prices.ts";
import { ANY_MODEL, readUpstreams, Upstream, Upstreams } from "./upstream/upstreams.ts";

const encryptionKey = z
  .string()
  .refine(isEncryptionKey, { error: "must be 32 bytes in base64 or hexadecimal" })
  .optional();

/** A positive number, written without an exponent. */
const amount = z
  .string()
  .regex(/^\d{1,12}(?:\.\d{1,9})?$/, "must be a number such as 5 or 0.50")
  .transform(Number);

/** What API, worker and CLI read about models and answers. Processes that share a store have to read the same. */
export const answerSettings = {
  OPENAI_API_KEY: z.string().min(1).optional(),
  OPENAI_BASE_URL: z
    .string()
    .refine((text) => ["http:", "https:"].includes(URL.parse(text)?.protocol ?? ""), {
      error: "must be a URL that begins with http: or https:",
    })
    .optional(),
  /** Which model answers new runs. */
  MYTHIC_MODEL: z.string().min(1).optional(),
  /** Path of a file with several endpoints by the names of their models. */
  MYTHIC_UPSTREAMS: z.string().min(1).optional(),
  /** Prices as JSON, or the path of a file with them. */
  MYTHIC_PRICES: z.string().min(1).optional(),
  /** Of the keys of answers. Without it the store makes one. */
  MYTHIC_CACHE_SECRET: z.string().min(32, "must have at least 32 characters").optional(),
  /** Encrypts answers in Redis and in the ledger. */
  MYTHIC_ENCRYPTION_KEY: encryptionKey,
  /** The one before, which still opens what it closed. */
  MYTHIC_ENCRYPTION_KEY_OLD: encryptionKey,
  /** Tokens that a user may use up in a day (UTC). */
  MYTHIC_USER_TOKENS_PER_DAY: amount.pipe(z.int("must be a whole number")).optional(),
  /** Dollars that a user may spend in a day (UTC). */
  MYTHIC_USER_DOLLARS_PER_DAY: amount.optional(),
  /** SHA-256 of the files of books whose answers are for all users. */
  MYTHIC_SHARED_BOOKS: z
    .string()
    .transform((text) => text.split(",").map((digest) => digest.trim().toLowerCase()))
    .pipe(z.array(z.string().regex(/^[0-9a-f]{64}$/, "must be SHA-256 digests with commas between them")))
    .optional(),
  /** For how many days an answer that was paid for is reused. */
  ANSWER_REUSE_DAYS: z
    .string()
    .regex(/^\d{1,4}$/, "must be a whole number up to 3650")
    .transform(Number)
    .pipe(z.number().max(3_650, "must be at most 3650"))
    .default(30),
};

export interface AnswersConfig {
  /** Answers new runs; null: they use their offline methods. */
  readonly model: string | null;
  /** Null: there is no endpoint. */
  readonly upstreams: Upstreams | null;
  /** Null: the store's. */
  readonly secret: string | null;
  readonly encryptionKeys: readonly string[];
  readonly reuseMs: number;
  readonly userLimits: UserLimits;
  readonly sharedBooks: ReadonlySet<string>;
}

type AnswerSettings = z.infer<z.ZodObject<typeof answerSettings>>;

const DAY_MS = 24 * 3_600_000;
const NANO_DOLLARS = 1e9;

/** @throws ConfigurationError naming what cannot be used */
export function answersConfigOf(settings: AnswerSettings): AnswersConfig {
  const upstreams = upstreamsOf(settings);
  const { MYTHIC_MODEL: model = null, MYTHIC_ENCRYPTION_KEY: key, MYTHIC_ENCRYPTION_KEY_OLD: old } = settings;
  if (model !== null && upstreams !== null && upstreams.of(model) === null) {
    throw new ConfigurationError("MYTHIC_MODEL", ["must be a model of an endpoint in MYTHIC_UPSTREAMS"]);
  }
  if (old !== undefined && key === undefined) {
    throw new ConfigurationError("MYTHIC_ENCRYPTION_KEY_OLD", ["needs MYTHIC_ENCRYPTION_KEY beside it"]);
  }
  const { MYTHIC_USER_DOLLARS_PER_DAY: dollars } = settings;
  return {
    model: upstreams === null ? null : model,
    upstreams,
    secret: settings.MYTHIC_CACHE_SECRET ?? null,
    encryptionKeys: [key, old].filter((given) => given !== undefined),
    reuseMs: settings.ANSWER_REUSE_DAYS * DAY_MS,
    userLimits: {
      tokensPerDay: settings.MYTHIC_USER_TOKENS_PER_DAY ?? null,
      costPerDay: dollars === undefined ? null : Math.round(dollars * NANO_DOLLARS),
    },
    sharedBooks: new Set(settings.MYTHIC_SHARED_BOOKS),
  };
}

const OPENAI = "https://api.openai.com/v1";
/** A local endpoint may need no key, but the SDK wants one. */
const NO_KEY = "none";

/** One endpoint, which is asked for any model, unless a file names several. */
function upstreamsOf(settings: AnswerSettings): Upstreams | null {
  const prices = readPrices(settings.MYTHIC_PRICES);
  const { MYTHIC_UPSTREAMS: path, MYTHIC_MODEL: model, OPENAI_API_KEY: apiKey } = settings;
  const { OPENAI_BASE_URL: baseUrl } = settings;
  if (path !== undefined) return readUpstreams(path, prices);
  if (model === undefined || (apiKey === undefined && baseUrl === undefined)) return null;
  const models = [model, ANY_MODEL];
  const endpoint = { baseUrl: baseUrl ?? OPENAI, apiKey: apiKey ?? NO_KEY };
  return new Upstreams([new Upstream({ name: "openai", ...endpoint, models, prices })]);
}

import { dirname, resolve } from "node:path";
import { z } from "zod";
import { ConfigurationError, problemsOf, readJsonFile, readText } from "./json-setting.ts";
import { type Price, type PriceOf, priceListSchema, priceOf, pricesFrom } from "./prices.ts";

/** What an upstream takes in a minute, all its models together. Null: no limit is known. */
export interface UpstreamLimits {
  readonly requestsPerMinute: number | null;
  readonly tokensPerMinute: number | null;
}

export interface UpstreamOptions {
  /** For people: in logs, metrics and the ledger. */
  readonly name: string;
  readonly baseUrl: string;
  readonly apiKey: string;
  /** Names as callers write them; `*` stands for all that no upstream names. */
  readonly models: readonly string[];
  readonly limits?: UpstreamLimits;
  /** By the name of a model, those that it also answers as. */
  readonly aliases?: ReadonlyMap<string, readonly string[]>;
  readonly prices?: PriceOf;
  /** Whether it knows `prompt_cache_key`. OpenAI's own does unless told; others may refuse what they do not know. */
  readonly takesPromptCacheKeys?: boolean;
}

const OPENAI_HOST = "api.openai.com";

/** An OpenAI-compatible endpoint, with what is known of it. Its key is in no copy, log or message that is made of it. */
export class Upstream {
  readonly name: string;
  readonly baseUrl: string;
  readonly models: readonly string[];
  readonly limits: UpstreamLimits;
  readonly takesPromptCacheKeys: boolean;
  /** Which endpoint this is, for keys: its address, however it was written, and nothing that is changed without changing answers. */
  readonly identity: string;
  /** Where it is, for traces. */
  readonly server: { readonly address: string; readonly port: number };
  readonly #apiKey: string;
  readonly #aliases: ReadonlyMap<string, readonly string[]>;
  readonly #prices: PriceOf;

  constructor(options: UpstreamOptions) {
    const { name, baseUrl, apiKey, models, aliases = new Map(), prices = priceOf } = options;
    this.name = name;
    this.baseUrl = baseUrl;
    this.models = models;
    this.limits = options.limits ?? { requestsPerMinute: null, tokensPerMinute: null };
    const { protocol, hostname, port, host, origin, pathname, search } = new URL(baseUrl);
    this.takesPromptCacheKeys = options.takesPromptCacheKeys ?? host === OPENAI_HOST;
    this.identity = `${origin}${pathname.replace(/\/+$/, "")}${search}`;
    this.server = { address: hostname, port: Number(port) || (protocol === "https:" ? 443 : 80) };
    this.#apiKey = apiKey;
    this.#aliases = aliases;
    this.#prices = prices;
  }

  /** A method and no property, so that nothing shows it that shows properties. */
  revealKey(): string {
    return this.#apiKey;
  }

  priceOf(model: string): Price | null {
    return this.#prices(model);
  }

  /** Whether a model that answered is known as the one that was asked for, by the configuration. */
  isAlias(asked: string, answered: string): boolean {
    return this.#aliases.get(asked)?.includes(answered) ?? false;
  }
}

/** The only endpoints that are ever called. */
export class Upstreams {
  readonly all: readonly Upstream[];
  readonly #byModel: ReadonlyMap<string, Upstream>;

  constructor(all: readonly Upstream[]) {
    this.all = all;
    this.#byModel = new Map(all.flatMap((upstream) => upstream.models.map((model) => [model, upstream])));
  }

  /** Who is asked for a model; null: nobody has it. */
  of(model: string): Upstream | null {
    return this.#byModel.get(model) ?? this.#byModel.get(ANY_MODEL) ?? null;
  }

  /** The models that are named. */
  get models(): readonly string[] {
    return [...this.#byModel.keys()].filter((model) => model !== ANY_MODEL);
  }
}

const SETTING = "MYTHIC_UPSTREAMS";
/** Stands for all models that no upstream names. */
export const ANY_MODEL = "*";

/** A local endpoint may need no key, but the SDK wants one. */
const NO_KEY = "none";
/** What a header can carry. The message of a refused header would show it. */
const apiKeySchema = z.string().regex(/^[\x21-\x7e]+$/, "must be printable ASCII without spaces");

const upstreamSchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, "must be lower-case letters, digits, - and _"),
  base_url: z.string().superRefine((text, context) => {
    const problem = problemOfUrl(text);
    if (problem !== null) context.addIssue(problem);
  }),
  api_key: apiKeySchema.optional(),
  api_key_file: z.string().min(1).optional(),
  models: z.array(z.string().min(1)).min(1),
  aliases: z.record(z.string(), z.array(z.string().min(1)).min(1)).default({}),
  limits: z
    .strictObject({ rpm: z.int().positive().nullish(), tpm: z.int().positive().nullish() })
    .default({}),
  prices: priceListSchema.optional(),
  prompt_cache_keys: z.boolean().optional(),
});
type Entry = z.infer<typeof upstreamSchema>;

function problemOfUrl(text: string): string | null {
  const url = URL.parse(text);
  if (url === null || !["http:", "https:"].includes(url.protocol)) {
    return "must be a URL that begins with http: or https:";
  }
  if (url.username !== "" || url.password !== "") return "must hold no user or password";
  return url.search === "" && url.hash === "" ? null : "must end with its path";
}

/**
 * The upstreams of the file that `MYTHIC_UPSTREAMS` names: a list of objects with `name`, `base_url`, `api_key` or `api_key_file`
 * (relative to the file), `models`, and what is known of `limits` (`rpm`, `tpm`), `prices` (as in `MYTHIC_PRICES`), `aliases` and
 * `prompt_cache_keys` (whether it takes the parameter `prompt_cache_key`).
 * Models without a price there have that of `prices`.
 *
 * @throws ConfigurationError with all problems at once
 */
export function readUpstreams(path: string, prices: PriceOf = priceOf): Upstreams {
  const json = readJsonFile(SETTING, path);
  if (!Array.isArray(json) || json.length === 0) {
    throw new ConfigurationError(SETTING, ["must be a list with at least one upstream"]);
  }
  const problems: string[] = [];
  const upstreams = json.flatMap((raw: unknown, index) => {
    const parsed = upstreamSchema.safeParse(raw);
    if (!parsed.success) problems.push(...problemsOf(parsed.error, [index]));
    if (!parsed.success) return [];
    const apiKey = keyOf(parsed.data, dirname(path));
    const wrong = problemsOfEntry(parsed.data, apiKey).map((problem) => `${index}.${problem}`);
    problems.push(...wrong);
    return [makeUpstream(parsed.data, apiKey ?? "", prices)];
  });
  problems.push(...problemsOfNames("name", namesIn(json, "name")));
  problems.push(...problemsOfNames("model", namesIn(json, "models")));
  if (problems.length > 0) throw new ConfigurationError(SETTING, problems);
  return new Upstreams(upstreams);
}

function makeUpstream(entry: Entry, apiKey: string, prices: PriceOf): Upstream {
  const { name, base_url: baseUrl, models, aliases, limits } = entry;
  return new Upstream({
    name,
    baseUrl,
    apiKey,
    models,
    limits: { requestsPerMinute: limits.rpm ?? null, tokensPerMinute: limits.tpm ?? null },
    aliases: new Map(Object.entries(aliases)),
    ...(entry.prompt_cache_keys === undefined ? {} : { takesPromptCacheKeys: entry.prompt_cache_keys }),
    prices: entry.prices === undefined ? prices : pricesFrom(entry.prices, prices),
  });
}

/** Null for a file that cannot be read. */
function keyOf({ api_key: key, api_key_file: file }: Entry, folder: string): string | null {
  return file === undefined ? (key ?? NO_KEY) : (readText(resolve(folder, file))?.trim() ?? null);
}

function problemsOfEntry(entry: Entry, apiKey: string | null): string[] {
  const problems: string[] = [];
  if (entry.api_key !== undefined && entry.api_key_file !== undefined) {
    problems.push("api_key: give it or api_key_file, not both");
  }
  if (apiKey === null) problems.push("api_key_file: the file cannot be read");
  else if (!apiKeySchema.safeParse(apiKey).success) problems.push("api_key_file: the file holds no key");
  for (const [position, model] of Object.keys(entry.aliases).entries()) {
    const isThere = entry.models.includes(model) || entry.models.includes(ANY_MODEL);
    if (!isThere) problems.push(`aliases: number ${position + 1} is for a model that is not in models`);
  }
  return problems;
}

/** Texts of a field in all entries, also of those that are wrong elsewhere. */
function namesIn(entries: readonly unknown[], field: "name" | "models"): string[] {
  return entries
    .flatMap((entry) => (typeof entry === "object" && entry !== null ? Object.entries(entry) : []))
    .filter(([name]) => name === field)
    .flatMap(([, value]: [string, unknown]) => value)
    .filter((value) => typeof value === "string");
}

function problemsOfNames(what: string, names: readonly string[]): string[] {
  const twice = new Set(names.filter((name, index) => names.indexOf(name) !== index));
  return [...twice].map((name) => `the ${what} ${name} is there more than once`);
}

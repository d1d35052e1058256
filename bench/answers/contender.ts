/** Where a contender finds what it needs. */
export interface AnswersSettings {
  readonly redisUrl: string;
  /** Of the endpoint that is asked. */
  readonly baseUrl: string;
  /** Of a store, for who has one. */
  readonly dataDir: string;
  /** Where answers are kept. */
  readonly tiers: "redis" | "local and redis";
}

/** A way to a model that remembers what was asked, as the rows see it. */
export interface ContenderAnswers {
  /** Gives the text of an answer. */
  complete(prompt: string): Promise<string>;
  /** The same, piece by piece as it comes. Left out where there is no such thing. */
  readonly stream?: (prompt: string) => AsyncIterable<string>;
}

/** What a file of this folder exports as `openAnswers`. */
export type OpenContender = (settings: AnswersSettings) => Promise<ContenderAnswers>;

/** Of every answer, in seconds: nothing expires while a row runs. */
export const TTL_SECONDS = 3_600;
export const MODEL = "gpt-5-mini";
export const API_KEY = "sk-bench";
export const INSTRUCTIONS = "You are an editor. Answer in plain words.";
export const MOST_TOKENS = 4_000;

/** What all of them ask. */
export function requestOf(prompt: string) {
  return {
    model: MODEL,
    messages: [
      { role: "system" as const, content: INSTRUCTIONS },
      { role: "user" as const, content: prompt },
    ],
    temperature: 0,
    max_completion_tokens: MOST_TOKENS,
  };
}

const OWN = ["mythic", "naive", "openai"];

export async function openContender(name: string, settings: AnswersSettings): Promise<ContenderAnswers> {
  const folder = OWN.includes(name) ? "." : "./peers";
  const { openAnswers } = (await import(`${folder}/${name}.ts`)) as { readonly openAnswers: OpenContender };
  return await openAnswers(settings);
}

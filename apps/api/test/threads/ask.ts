import type OpenAI from "openai";
import { APIError } from "openai";
import type { z } from "zod";
import { usageReportSchema } from "../../src/wire/usage.ts";
import type { TestApi } from "../test-api.ts";

export interface Asked {
  readonly text: string | null;
  readonly completion: OpenAI.ChatCompletion;
  /** `hit`, `miss`, `coalesced` or `bypass`. */
  readonly cache: string | null;
  readonly headers: Headers;
}

type Fields = OpenAI.ChatCompletionCreateParamsNonStreaming;
type Replaced = { readonly [Name in keyof Fields]?: Fields[Name] | undefined };

/** Beside the model, a temperature of 0 and the prompt as the only message, all of which it may replace, or leave out as undefined. */
export interface Wishes extends Replaced {
  readonly headers?: Readonly<Record<string, string>>;
}

export async function ask(
  client: OpenAI,
  prompt: string,
  { headers = {}, ...wishes }: Wishes = {},
): Promise<Asked> {
  const { data, response } = await client.chat.completions
    .create(bodyOf(prompt, wishes), { headers })
    .withResponse();
  const text = data.choices[0]?.message.content ?? null;
  return {
    text,
    completion: data,
    cache: response.headers.get("x-mythic-cache"),
    headers: response.headers,
  };
}

export interface Streamed extends Omit<Asked, "completion"> {
  readonly chunks: readonly OpenAI.ChatCompletionChunk[];
}

/** With the usage at its end, and read to it. */
export async function askStreamed(
  client: OpenAI,
  prompt: string,
  { headers = {}, ...wishes }: Wishes = {},
): Promise<Streamed> {
  const body = { ...bodyOf(prompt, wishes), stream: true as const, stream_options: { include_usage: true } };
  const { data, response } = await client.chat.completions.create(body, { headers }).withResponse();
  const chunks = await Array.fromAsync(data);
  const text = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");
  return { text, chunks, cache: response.headers.get("x-mythic-cache"), headers: response.headers };
}

/** The error that a request ends in. */
export async function refused(asking: Promise<unknown>): Promise<APIError> {
  try {
    await asking;
  } catch (error) {
    if (error instanceof APIError) return error;
    throw error;
  }
  throw new Error("It was not refused.");
}

/** What `GET /usage` says of a user. */
export async function usageOf(
  { url, key }: TestApi,
  user: string,
): Promise<z.infer<typeof usageReportSchema>["total"]> {
  const { authorization } = await key(user);
  const response = await fetch(`${url}/usage`, { headers: { authorization } });
  return usageReportSchema.parse(await response.json()).total;
}

function bodyOf(prompt: string, wishes: Replaced): Fields {
  const messages = [{ role: "user" as const, content: prompt }];
  const body = { model: "gpt-5-mini", temperature: 0, messages, ...wishes, stream: false };
  return body as Fields;
}

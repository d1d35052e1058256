import { hash } from "node:crypto";
import { Redis } from "ioredis";
import { type AnswersSettings, openContender, requestOf } from "../answers/contender.ts";
import { readSettings, takeOrders } from "../measuring/orders.ts";
import { median } from "../measuring/statistics.ts";

/** Measures answers that are there already, beside the least that one can cost. */
export interface AnswerHitsSettings extends AnswersSettings {
  readonly contender: string;
}

export interface AnswerHitsOrders {
  /** Has all prompts answered once. */
  fill(order: null): Promise<void>;
  /** One caller, in turns with the floor: what the call in the middle took, in microseconds. */
  alone(order: { readonly calls: number }): Promise<{ readonly hitUs: number; readonly floorUs: number }>;
  /** Many callers: how many calls came to their end in a second. */
  together(order: { readonly callers: number; readonly forMs: number }): Promise<number>;
}

const PROMPTS = 200;
const LETTERS = 4_000;
/** Of one and the other in turns, so that both meet the same machine and the same caches of the processor. */
const CALLS_IN_TURN = 20;

const settings = readSettings<AnswerHitsSettings>();
const answers = await openContender(settings.contender, settings);
const redis = new Redis(settings.redisUrl);
const prompts = Array.from({ length: PROMPTS }, (_, at) => promptOf(at));
const requests = prompts.map(requestOf);
const keys = requests.map((request) => keyOf(request));
let next = 0;
const turn = () => (next = (next + 1) % PROMPTS);
const hit = () => answers.complete(prompts[turn()] ?? "");

/** Whoever knows a request has to make a key of it, get what is there, and read it. */
async function floor(): Promise<unknown> {
  return JSON.parse((await redis.get(keyOf(requests[turn()]))) ?? "");
}

await takeOrders<AnswerHitsOrders>({
  async fill() {
    for (const [at, prompt] of prompts.entries()) {
      const content = await answers.complete(prompt);
      await redis.set(keys[at] ?? "", JSON.stringify(completionWith(content)));
    }
  },
  async alone({ calls }) {
    const hits: number[] = [];
    const floors: number[] = [];
    while (hits.length < calls) {
      for (let at = 0; at < CALLS_IN_TURN; at++) floors.push(await microseconds(floor));
      for (let at = 0; at < CALLS_IN_TURN; at++) hits.push(await microseconds(hit));
    }
    return { hitUs: median(hits), floorUs: median(floors) };
  },
  async together({ callers, forMs }) {
    let calls = 0;
    const begunAt = performance.now();
    const work = async () => {
      while (performance.now() < begunAt + forMs) {
        await hit();
        calls++;
      }
    };
    await Promise.all(Array.from({ length: callers }, work));
    return (calls * 1_000) / (performance.now() - begunAt);
  },
});

async function microseconds(call: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await call();
  return (performance.now() - begun) * 1_000;
}

function promptOf(at: number): string {
  const sentence = `On day ${at} the keeper saw the tide come in and wrote "so many ships" in the book.\n`;
  return sentence.repeat(Math.ceil(LETTERS / sentence.length)).slice(0, LETTERS);
}

function keyOf(request: unknown): string {
  return `floor:${hash("sha256", JSON.stringify(request))}`;
}

/** As the endpoint gives it. */
function completionWith(content: string) {
  return {
    id: "chatcmpl-123456789012345678901234",
    object: "chat.completion",
    created: 1_790_000_000,
    model: "gpt-5-mini",
    choices: [
      {
        index: 0,
        message: { role: "assistant", content, refusal: null },
        logprobs: null,
        finish_reason: "stop",
      },
    ],
    usage: {
      prompt_tokens: 1_000,
      completion_tokens: 1_500,
      total_tokens: 2_500,
      prompt_tokens_details: { cached_tokens: 0 },
    },
  };
}

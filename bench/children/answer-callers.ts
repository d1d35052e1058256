import { setTimeout as pause } from "node:timers/promises";
import { type AnswersSettings, type ContenderAnswers, openContender } from "../answers/contender.ts";
import { sharedNow } from "../measuring/clock.ts";
import { listenForHops } from "../measuring/hop.ts";
import { readSettings, takeOrders } from "../measuring/orders.ts";

/** One of several processes in which many ask a model. */
export interface AnswerCallersSettings extends AnswersSettings {
  readonly contender: string;
}

export interface Questions {
  /** Asked in this order. */
  readonly prompts: readonly string[];
  /** How many ask at once, each the next one after its last answer. */
  readonly callers: number;
  readonly streamed: boolean;
  /** When to begin, on the clock that all processes share. */
  readonly beginsAt: number;
}

export interface AskedResult {
  /** Of each call, when the first piece of its answer was there, on the clock that all processes share. */
  readonly firstPiecesAt: readonly number[];
  /** All different texts of answers; more than a few are not told. */
  readonly texts: readonly string[];
  readonly errors: readonly string[];
}

export interface AnswerCallersOrders {
  ask(order: Questions): Promise<AskedResult>;
  /** How long so many messages took, in milliseconds. */
  hops(order: { readonly messages: number }): Promise<readonly number[]>;
}

const MOST_TOLD = 3;

const settings = readSettings<AnswerCallersSettings>();
const nextHop = await listenForHops(settings.redisUrl);
const answers = await openContender(settings.contender, settings);

await takeOrders<AnswerCallersOrders>({
  async hops({ messages }) {
    const hops: number[] = [];
    while (hops.length < messages) hops.push(await nextHop());
    return hops;
  },
  async ask({ prompts, callers, streamed, beginsAt }) {
    const left = prompts.values();
    const firstPiecesAt: number[] = [];
    const texts = new Set<string>();
    const errors: string[] = [];
    while (sharedNow() < beginsAt) await pause(1);
    const work = async () => {
      for (const prompt of left) {
        try {
          const { firstPieceAt, text } = streamed
            ? await readStream(answers, prompt)
            : { firstPieceAt: null, text: await answers.complete(prompt) };
          if (firstPieceAt !== null) firstPiecesAt.push(firstPieceAt);
          if (texts.size < MOST_TOLD) texts.add(text);
        } catch (error) {
          errors.push(String(error));
        }
      }
    };
    await Promise.all(Array.from({ length: callers }, work));
    return { firstPiecesAt, texts: [...texts], errors };
  },
});

async function readStream({ stream }: ContenderAnswers, prompt: string) {
  if (stream === undefined) throw new Error("It has no streams.");
  let firstPieceAt: number | null = null;
  let text = "";
  for await (const piece of stream(prompt)) {
    if (piece !== "") firstPieceAt ??= sharedNow();
    text += piece;
  }
  return { firstPieceAt, text };
}

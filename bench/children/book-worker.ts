import { setTimeout as pause } from "node:timers/promises";
import { createStepModel, ModelError, type Question } from "@mythic/llm";
import { z } from "zod";
import { type AnswersSettings, MODEL, openContender } from "../answers/contender.ts";
import { type Limits, openParts } from "../answers/mythic.ts";
import { type Library, type Place, placesOf, textOf } from "../measuring/library.ts";
import { readSettings, takeOrders } from "../measuring/orders.ts";

/** One of several processes that work off books, as a worker does: step by step, and who has to wait gives its slot to another. */
export interface BookWorkerSettings extends AnswersSettings {
  readonly contender: string;
  readonly library: Library;
  /** Steps at once. */
  readonly slots: number;
  /** Of the endpoint; null: nobody knows of any. */
  readonly limits: Limits | null;
}

export interface BookWorkerOrders {
  /** Begins to work off all steps of these books. */
  begin(order: { readonly books: readonly number[]; readonly run: string }): Promise<void>;
  /** Answers when they are done, and how often a step had to wait. */
  done(order: null): Promise<number>;
}

const settings = readSettings<BookWorkerSettings>();
const { contender, library, slots } = settings;
/** How soon to look again when all steps wait, in milliseconds. */
const LOOK_MS = 20;
const DAY_MS = 24 * 3_600_000;
const schema = z.strictObject({ summary: z.string() });

const ask = contender === "mythic" ? await openSteps() : await openPlain();

interface Step {
  readonly place: Place;
  readonly run: string;
  /** By the clock of `performance`. */
  dueAt: number;
}

let working: Promise<number> = Promise.resolve(0);

await takeOrders<BookWorkerOrders>({
  async begin({ books, run }) {
    working = work(
      books.flatMap((book) => placesOf(book, library).map((place): Step => ({ place, run, dueAt: 0 }))),
    );
    // Told to who asks whether it is done.
    working.catch(() => undefined);
  },
  done: () => working,
});

async function work(left: Step[]): Promise<number> {
  let waits = 0;
  let busy = 0;
  const fill = async () => {
    while (left.length > 0 || busy > 0) {
      const now = performance.now();
      const at = left.findIndex(({ dueAt }) => dueAt <= now);
      const [step] = at < 0 ? [] : left.splice(at, 1);
      if (step === undefined) {
        await pause(LOOK_MS);
        continue;
      }
      busy++;
      const later = await ask(step);
      busy--;
      if (later === null) continue;
      waits++;
      step.dueAt = performance.now() + later.ms;
      left.unshift(step);
      void later.sooner?.then(() => (step.dueAt = 0));
    }
  };
  await Promise.all(Array.from({ length: slots }, fill));
  return waits;
}

/** Answers when to come back; null: never, it is done. */
type Ask = (
  step: Step,
) => Promise<{ readonly ms: number; readonly sooner: Promise<void> | undefined } | null>;

async function openSteps(): Promise<Ask> {
  const { open } = await openParts(settings, settings.limits);
  const model = createStepModel({ answers: open.answers, reuseMs: 30 * DAY_MS });
  return async ({ place, run }) => {
    const { signal } = new AbortController();
    const conversation = model.conversation({
      user: "reader",
      runId: `${run}-${place.book}`,
      stepId: `${run}.${place.book}.${place.chapter}.${place.step}`,
      fence: 1,
      recipe: "summary",
      recipeVersion: 1,
      model: MODEL,
      bookDigest: "0".repeat(64),
      freshSince: null,
      maxCost: null,
      serviceTier: null,
      signal,
    });
    try {
      await conversation.ask(questionOf(place));
      return null;
    } catch (error) {
      if (!(error instanceof ModelError && error.postpones)) throw error;
      return { ms: error.retryAfterMs ?? 0, sooner: error.sooner?.(signal).catch(() => undefined) };
    }
  };
}

async function openPlain(): Promise<Ask> {
  const answers = await openContender(contender, settings);
  return async ({ place }) => {
    await answers.complete(textOf(place, library));
    return null;
  };
}

function questionOf(place: Place): Question<z.infer<typeof schema>> {
  return {
    prompt: `summary.${place.step}`,
    instructions: "Summarise.",
    input: textOf(place, library),
    schema,
    schemaName: "summary",
    maxOutputTokens: 1_500,
  };
}

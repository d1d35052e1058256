import { createHash } from "node:crypto";
import type { Book, Chapter, ParsedBook } from "../../src/book.ts";
import type { LedgerOpening, LedgerSettlement, Sealer } from "../../src/ledger.ts";
import type { Run } from "../../src/run.ts";
import type { NewStep, Step } from "../../src/step.ts";
import type { NewBook, Store } from "../../src/store.ts";
import type { Saved } from "../../src/usage.ts";
import { someRun } from "../samples.ts";

let serial = 0;

/** A name that no other test uses. Later ones sort after earlier ones. */
export function unique(prefix: string): string {
  serial += 1;
  return `${prefix}_${String(serial).padStart(8, "0")}`;
}

export function sha256(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

export async function* pieces(...content: readonly (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const piece of content) yield await Promise.resolve(Buffer.from(piece));
}

export async function collect(content: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const piece of content) all.push(piece);
  return Buffer.concat(all);
}

export function newBook(more: Partial<NewBook> = {}): NewBook {
  const id = more.id ?? unique("book");
  return { id, sha256: sha256(id), bytes: 3, format: "text", fileName: null, ...more };
}

/** A book in `stored`, bytes included. */
export async function storedBook(store: Store, user: string, content?: string): Promise<Book> {
  const id = unique("book");
  const { bytes, sha256: hash } = await store.books.storeBytes(user, id, pieces(content ?? `bytes of ${id}`));
  return (await store.books.create(user, newBook({ id, sha256: hash, bytes }))).book;
}

export const PARSED: ParsedBook = {
  title: "Der Zauberberg ☃ 𝔐",
  authors: ["Thomas Mann", "山田"],
  language: "de",
  warnings: ["no_toc"],
  chapters: 2,
  characters: 30,
};

export function chapter(index: number, more: Partial<Chapter> = {}): Chapter {
  const text = `Text of ${index}.\n\nNext paragraph.`;
  return {
    id: `c${String(index + 1).padStart(4, "0")}`,
    index,
    title: `Chapter ${index}`,
    path: ["Part one"],
    kind: "body",
    start: index * 100,
    length: text.length,
    text,
    notes: [],
    ...more,
  };
}

/** A book in `ready` with two chapters. */
export async function readyBook(store: Store, user: string): Promise<Book> {
  const { id } = await storedBook(store, user);
  await store.books.saveChapters(user, id, 1, [chapter(0), chapter(1)]);
  await store.books.markReady(user, id, 1, PARSED);
  const book = await store.books.get(user, id);
  if (!book) throw new Error("the book that was just made is not there");
  return book;
}

export function newRun(user: string, more: Partial<Run> = {}): Run {
  const own = { id: unique("run"), bookId: unique("book"), queuedAt: new Date(Date.UTC(2030, 0, 1)) };
  return someRun({ user, ...own, ...more });
}

export async function createdRun(store: Store, user: string, more: Partial<Run> = {}): Promise<Run> {
  const run = newRun(user, more);
  await store.runs.create(user, run);
  return run;
}

export function newStep(user: string, more: Partial<NewStep> = {}): NewStep {
  return {
    id: unique("step"),
    user,
    bookId: "book_of_steps",
    runId: "run_of_steps",
    kind: "chapter",
    recipe: "summary",
    unit: "0",
    title: "Chapter 0",
    inputs: [],
    ...more,
  };
}

export async function insertedStep(
  store: Store,
  user: string,
  more: Partial<NewStep> = {},
): Promise<NewStep> {
  const step = newStep(user, more);
  await store.steps.insert(user, [step]);
  return step;
}

/** Claims a step that must be there to be claimed. */
export async function claim(store: Store, id: string, leaseMs = 15_000): Promise<Step> {
  const step = await store.steps.claim(id, "worker", leaseMs);
  if (!step) throw new Error(`${id} cannot be claimed`);
  return step;
}

export async function claimedStep(store: Store, user: string, more: Partial<NewStep> = {}): Promise<Step> {
  return await claim(store, (await insertedStep(store, user, more)).id);
}

/** Of a step's call. */
export function opening(more: Partial<LedgerOpening> = {}): LedgerOpening {
  return {
    id: `${unique("step")}.f1.1`,
    scope: "user:someone",
    runId: "run_of_calls",
    stepId: "step_of_calls",
    recipe: "summary",
    recipeVersion: 1,
    prompt: "summary.chapter",
    keyId: unique("v1.key"),
    askedAnew: false,
    upstream: "openai",
    modelAsked: "model",
    serviceTier: null,
    tokens: 500,
    price: { input: 3, cachedInput: 1, output: 5.5 },
    cost: 1_000,
    ...more,
  };
}

/** Of a call of the public endpoint. */
export function endpointOpening(more: Partial<LedgerOpening> = {}): LedgerOpening {
  const noStep = { runId: null, stepId: null, recipe: null, recipeVersion: null, prompt: null };
  return opening({ id: unique("call"), ...noStep, ...more });
}

export function settlement(more: Partial<LedgerSettlement> = {}): LedgerSettlement {
  return {
    state: "answered",
    modelAnswered: "model-2030",
    serviceTier: "default",
    inputTokens: 100,
    cachedTokens: 20,
    outputTokens: 30,
    price: { input: 3, cachedInput: 1, output: 5 },
    cost: 410,
    promptCacheSaved: 40,
    tierSaved: 0,
    latencyMs: 1_234.5,
    outcome: null,
    answer: '{"text":"ünïcode ☃"}',
    message: null,
    ...more,
  };
}

/** Of a call that never left the house. */
export function unsent(more: Partial<LedgerSettlement> = {}): LedgerSettlement {
  const nothing = { inputTokens: 0, cachedTokens: 0, outputTokens: 0, cost: 0, promptCacheSaved: 0 };
  const none = { modelAnswered: null, serviceTier: null, latencyMs: null, answer: null };
  return settlement({ state: "failed", ...nothing, ...none, outcome: "model_unavailable", ...more });
}

/** Opens a call and settles it. Answers its id. */
export async function settledCall(
  store: Store,
  user: string,
  more: { readonly opening?: Partial<LedgerOpening>; readonly settlement?: Partial<LedgerSettlement> } = {},
): Promise<string> {
  const call = opening(more.opening);
  await store.ledger.open(user, call);
  await store.ledger.settle(user, call.id, settlement(more.settlement));
  return call.id;
}

export function saved(more: Partial<Saved> = {}): Saved {
  return { model: "model", cause: "hit", calls: 1, tokens: 130, cost: 410, unpriced: 0, ...more };
}

/** Anyone can open what it sealed under the same name, in the same place. */
export function nameOnlySealer(name: string): Sealer {
  return {
    seal: (text, place) => `sealed.${Buffer.from(JSON.stringify([name, place, text])).toString("base64")}`,
    open(stored, place) {
      if (!stored.startsWith("sealed.")) return stored;
      const read: unknown = JSON.parse(Buffer.from(stored.slice("sealed.".length), "base64").toString());
      const [by, where, text] = Array.isArray(read) ? read : [];
      return by === name && where === place ? String(text) : null;
    },
  };
}

export const FAILURE = { code: "model_refused", detail: "The model would not answer." };

/** Strings that someone may send where an id is expected. */
export const ODD_IDS = [
  "",
  "\0",
  "$where",
  "a.b",
  "'; DROP TABLE books; --",
  "😀",
  "x".repeat(10_000),
  "%",
  "\ud800",
];

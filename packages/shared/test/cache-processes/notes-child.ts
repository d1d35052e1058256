import {
  type Cache,
  type CacheFamily,
  type CacheHealth,
  defineFamily,
  openCache,
} from "@mythic/shared/cache";
import { openGuardedRedis } from "@mythic/shared/redis";
import { Redis } from "ioredis";
import { readSettings, sharedNow, takeOrders } from "./orders.ts";

/** A process with a cache of notes, all of one user. */
export interface NotesSettings {
  readonly redisUrl: string;
  readonly leaseMs: number;
  readonly heartbeatMs: number;
  readonly probeAfterMs: number;
}

export type Way = "key" | "tag" | "pattern" | "clear";

export interface Stampede {
  readonly id: string;
  readonly callers: number;
  readonly loadMs: number;
  readonly fails: boolean;
  /** On the clock that all processes share. */
  readonly beginsAt: number;
}

export interface StampedeResult {
  readonly loads: number;
  /** What callers got, each different thing with how many got it. Errors as `name code message`. */
  readonly answers: ReadonlyMap<string, number>;
  /** When the last caller had its answer. */
  readonly settledAt: number;
}

export interface Answer {
  readonly text: string;
  readonly at: number;
  /** When this process ended its own load, if it had one. */
  readonly loadedAt: number | null;
}

export interface NotesOrders {
  ready(): Promise<boolean>;
  /** Many ask for the same note at the same moment. */
  stampede(order: Stampede): Promise<StampedeResult>;
  /** Begins to ask for a note. Should it be for this process to load it, the load ends when it is released. */
  ask(order: { readonly id: string; readonly text: string }): void;
  /** Waits until this process is loading the note. */
  begun(id: string): Promise<void>;
  release(id: string): void;
  /** Waits for what `ask` got. */
  answer(id: string): Promise<Answer>;
  peek(id: string): string | undefined;
  get(id: string): Promise<string | undefined>;
  /** The same at a moment of the clock that all processes share. */
  getAt(order: { readonly id: string; readonly at: number }): Promise<string | undefined>;
  /** The note, loaded at once if there is none: its text is the one given then. */
  obtain(order: { readonly id: string; readonly text: string }): Promise<string>;
  /** The same at such a moment. */
  obtainAt(order: { readonly id: string; readonly text: string; readonly at: number }): Promise<string>;
  set(order: { readonly id: string; readonly text: string }): Promise<boolean>;
  invalidate(order: { readonly id: string; readonly way: Way }): Promise<void>;
  /** Reads a note again and again, for as long as Redis has not been told of all invalidations, and gives every text that came. */
  readUntilTold(id: string): Promise<readonly (string | undefined)[]>;
  isLoading(id: string): Promise<boolean>;
  health(): CacheHealth;
  /** Milliseconds that messages took to this process since the last time. */
  hops(): readonly number[];
}

export const USER = "ann";
export const NAMESPACE = "test";
export const HOPS = "hops";
export const TAG = "all";

/** Long, so that no test sees a note end by itself unless it means to. */
const TTL_MS = 600_000;
const READY_MS = 10_000;

export interface Note {
  readonly text: string;
}

export type NoteOptions = Partial<
  Pick<CacheFamily<"user", readonly [id: string], Note>, "name" | "version" | "ttlMs" | "graceMs">
> & { readonly softTimeoutMs?: number };

export function noteFamily(options: NoteOptions = {}) {
  return defineFamily({
    name: "notes",
    scope: "user",
    version: 1,
    ttlMs: TTL_MS,
    jitter: 0,
    ...options,
    key: (id: string) => id,
    tags: () => [TAG],
    schema: { safeParse: (data: unknown) => ({ success: true as const, data: data as Note }) },
  });
}

/** What ways there are to invalidate a note. */
export async function invalidateNote(
  cache: Cache<{ readonly notes: ReturnType<typeof noteFamily> }>,
  id: string,
  way: Way,
): Promise<void> {
  switch (way) {
    case "key":
      await cache.families.notes.delete(USER, id);
      return;
    case "tag":
      await cache.deleteByTag({ user: USER }, TAG);
      return;
    case "pattern":
      await cache.deleteByPattern(`notes:${id}*`);
      return;
    case "clear":
      await cache.clear();
  }
}

class SourceError extends Error {
  override readonly name = "SourceError";
  readonly code = "E_SOURCE";
}

/** A question that was asked, and the load that it may lead to. */
class Question {
  readonly begun = Promise.withResolvers<void>();
  readonly gate = Promise.withResolvers<void>();
  loadedAt: number | null = null;
  answer: Promise<Answer> | null = null;
}

async function main(settings: NotesSettings): Promise<void> {
  const { redisUrl, leaseMs, heartbeatMs, probeAfterMs } = settings;
  const redis = openGuardedRedis(redisUrl, { probeAfterMs, commandTimeoutMs: 800 });
  const cache = openCache({
    namespace: NAMESPACE,
    families: { notes: noteFamily() },
    redis,
    leaseMs,
    heartbeatMs,
  });
  const { notes } = cache.families;
  const questions = new Map<string, Question>();
  const hops: number[] = [];
  const subscriber = new Redis(redisUrl);
  subscriber.on("error", () => undefined);
  subscriber.on("message", (_channel, sentAt) => void hops.push(sharedNow() - Number(sentAt)));
  await subscriber.subscribe(HOPS);

  const question = (id: string) => {
    const asked = questions.get(id);
    if (asked === undefined) throw new Error(`Nobody asked for ${id}.`);
    return asked;
  };

  const get: NotesOrders["get"] = async (id) => (await notes.get(USER, id))?.text;
  const obtain: NotesOrders["obtain"] = async ({ id, text }) =>
    (await notes.getOrSet(USER, id, () => ({ text }))).text;

  takeOrders<NotesOrders>({
    ready: () => cache.ready(READY_MS),
    async stampede({ id, callers, loadMs, fails, beginsAt }) {
      let loads = 0;
      const answers = new Map<string, number>();
      const count = (text: string) => void answers.set(text, (answers.get(text) ?? 0) + 1);
      await until(beginsAt);
      const load = async () => {
        loads += 1;
        await until(sharedNow() + loadMs);
        if (fails) throw new SourceError(`There is no ${id}.`);
        return { text: id };
      };
      const ask = () =>
        notes.getOrSet(USER, id, load).then(
          ({ text }) => count(text),
          (error: SourceError) => count(`${error.name} ${error.code} ${error.message}`),
        );
      await Promise.all(Array.from({ length: callers }, ask));
      return { loads, answers, settledAt: sharedNow() };
    },
    ask({ id, text }) {
      const asked = new Question();
      questions.set(id, asked);
      const load = async () => {
        asked.begun.resolve();
        await asked.gate.promise;
        asked.loadedAt = sharedNow();
        return { text };
      };
      asked.answer = notes
        .getOrSet(USER, id, load)
        .then((note) => ({ text: note.text, at: sharedNow(), loadedAt: asked.loadedAt }));
    },
    begun: (id) => question(id).begun.promise,
    release: (id) => question(id).gate.resolve(),
    async answer(id) {
      const answer = await question(id).answer;
      if (answer === null) throw new Error(`Nobody asked for ${id}.`);
      return answer;
    },
    peek: (id) => notes.peek(USER, id)?.text,
    get,
    async getAt({ id, at }) {
      await until(at);
      return await get(id);
    },
    obtain,
    async obtainAt({ at, ...order }) {
      await until(at);
      return await obtain(order);
    },
    set: ({ id, text }) => notes.set(USER, id, { text }),
    invalidate: ({ id, way }) => invalidateNote(cache, id, way),
    async readUntilTold(id) {
      const texts: (string | undefined)[] = [];
      while (cache.health().pendingRemovals > 0 || cache.health().status !== "ok") {
        texts.push((await notes.get(USER, id))?.text);
        await until(sharedNow() + 1);
      }
      texts.push((await notes.get(USER, id))?.text);
      return texts;
    },
    isLoading: async (id) => (await notes.explain(USER, id)).isLoadingHere,
    health: () => cache.health(),
    hops: () => hops.splice(0),
  });
}

/** Waits until the shared clock shows a time. */
function until(time: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, time - sharedNow())));
}

// Tests import from here what both sides must agree on.
if (process.send !== undefined && process.argv[1] === import.meta.filename)
  await main(readSettings<NotesSettings>());

import { randomUUID } from "node:crypto";
import type { GuardedRedis } from "@mythic/shared/redis";
import type { Entry, EntryFormat } from "./entry.ts";
import { FlightChannels, type FlightListener } from "./flight-channel.ts";
import { type FlightKeys, flightKeys } from "./flight-keys.ts";
import type { Script } from "./script.ts";
import { ASK, GIVE_BACK, MOST_ENTRIES, WRITE } from "./scripts.ts";

/** How long a stream and the end of a flight can be read: far longer than anyone who was there takes to read them. */
const KEPT_MS = 60_000;
/** A process that waits and does not ask for so long is not waited for. Those that wait ask every half second at the latest. */
const WAITER_MS = 2_000;

/** How far a lead was read. */
export interface Position {
  readonly token: string;
  readonly id: number;
}

export interface Question {
  /** To lead with, if nobody leads. Null: only to know. */
  readonly token: string | null;
  readonly known: Position | null;
}

/** Null: nobody leads. */
export type Reply = {
  readonly token: string;
  readonly hasEnded: boolean;
  /** Until when at most the lease holds. */
  readonly until: Date;
  /** Those after the position that was known. Null stands for what cannot be read. */
  readonly entries: readonly (readonly [id: number, entry: Entry | null])[];
  readonly hasMore: boolean;
} | null;

/** Whether a lease is given back although others wait, who then take over. */
export type GiveBack = "even if waited for" | "not if waited for";

/** The flights of a namespace in Redis. What it asks for rejects when Redis does not answer in time. */
export class FlightStore {
  readonly leaseMs: number;
  readonly #redis: GuardedRedis;
  readonly #namespace: string;
  readonly #format: EntryFormat;
  readonly #channels: FlightChannels;
  readonly #name = randomUUID();

  constructor(
    redis: GuardedRedis,
    options: { readonly namespace: string; readonly leaseMs: number; readonly format: EntryFormat },
  ) {
    this.#redis = redis;
    this.#namespace = options.namespace;
    this.#format = options.format;
    this.leaseMs = options.leaseMs;
    this.#channels = new FlightChannels(redis.address);
  }

  /** Who is told that somebody leads is waited for from then on: until it asks no more for a while, or leaves. */
  async ask(keyId: string, { token, known }: Question): Promise<Reply> {
    const keys = flightKeys(this.#namespace, keyId);
    const stream = keys.stream(known?.token ?? token ?? "");
    const reply = await this.#run(ASK, [keys.flight, keys.waiters, stream], {
      args: [token ?? "", this.leaseMs, known?.token ?? "", known?.id ?? 0, this.#name, WAITER_MS],
    });
    return this.#readReply(reply, stream);
  }

  /** Renews a lease. How many wait elsewhere; null: the lease is lost. */
  async renew(keyId: string, token: string): Promise<number | null> {
    return await this.#write(keyId, token, [0, "", 0]);
  }

  /** Appends what `entry` made, and renews; an outcome ends the flight. How many wait elsewhere; null: the lease is lost. */
  async append(keyId: string, { token, id }: Position, entry: SealedEntry): Promise<number | null> {
    return await this.#write(keyId, token, [id, entry.text, entry.isLast ? 1 : 0]);
  }

  seal(keyId: string, { token, id }: Position, entry: Entry): SealedEntry {
    const stream = this.#keys(keyId).stream(token);
    return { text: this.#format.write(entry, placeOf(stream, id)), isLast: entry.outcome !== undefined };
  }

  open(keyId: string, { token, id }: Position, text: string): Entry | null {
    return this.#format.read(text, placeOf(this.#keys(keyId).stream(token), id));
  }

  /** Gives a lease back without an end: 0 when it is, else how many wait; null: it was lost. */
  async giveBack(keyId: string, token: string, when: GiveBack): Promise<number | null> {
    const args = [token, when === "even if waited for" ? 1 : 0];
    return countOf(await this.#run(GIVE_BACK, this.#all(keyId, token), { args }));
  }

  /** Is not waited for any more. */
  async leave(keyId: string): Promise<void> {
    const { waiters } = this.#keys(keyId);
    await this.#redis.run((connection) => connection.zrem(waiters, this.#name));
  }

  /** Calls `listener` with what leaders tell, until the function that is returned is called. */
  listen(keyId: string, listener: FlightListener): () => void {
    return this.#channels.listen(this.#keys(keyId).flight, listener);
  }

  async close(): Promise<void> {
    await this.#channels.close();
  }

  #keys(keyId: string): FlightKeys {
    return flightKeys(this.#namespace, keyId);
  }

  #all(keyId: string, token: string): readonly string[] {
    const keys = this.#keys(keyId);
    return [keys.flight, keys.waiters, keys.stream(token)];
  }

  async #write(keyId: string, token: string, entry: readonly (string | number)[]): Promise<number | null> {
    const args = [token, this.leaseMs, Math.max(KEPT_MS, 2 * this.leaseMs), ...entry];
    return countOf(await this.#run(WRITE, this.#all(keyId, token), { args }));
  }

  async #run(
    script: Script,
    keys: readonly string[],
    { args }: { readonly args: readonly (string | number)[] },
  ): Promise<unknown> {
    return await this.#redis.run((connection) => script(connection, keys, args));
  }

  #readReply(reply: unknown, stream: string): Reply {
    if (!Array.isArray(reply) || reply.length === 0) return null;
    const [flight, ms, entries] = reply as [string, number, readonly [string, readonly string[]][]];
    return {
      token: flight.slice(1),
      hasEnded: flight.startsWith("-"),
      until: new Date(Date.now() + Math.max(0, ms)),
      entries: entries.map(([name, [, text = ""]]) => {
        const id = Number.parseInt(name, 10);
        return [id, this.#format.read(text, placeOf(stream, id))];
      }),
      hasMore: entries.length === MOST_ENTRIES,
    };
  }
}

/** Ready to be sent, as often as it takes. */
export interface SealedEntry {
  readonly text: string;
  readonly isLast: boolean;
}

const placeOf = (stream: string, id: number) => `${stream}:${id}`;

function countOf(reply: unknown): number | null {
  const count = Number(reply);
  return count < 0 ? null : count;
}

import { setTimeout as pause } from "node:timers/promises";
import { openCache } from "@mythic/shared/cache";
import { openGuardedRedis } from "@mythic/shared/redis";
import { Redis } from "ioredis";
import { readSettings, sharedNow, takeOrders, tell } from "../cache-processes/orders.ts";
import type { SoakEvent } from "./history.ts";
import { Random } from "./random.ts";
import {
  type Edition,
  FAMILIES,
  GRACE_MS,
  GROUPS,
  IDS,
  INVALIDATED,
  makeFamilies,
  NAMESPACE,
  nameOf,
  type Place,
  placesOf,
  USERS,
} from "./values.ts";

/** A process that reads and changes values at random and tells of each. */
export interface SoakSettings {
  readonly redisUrl: string;
  readonly sourceUrl: string;
  readonly seed: number;
  readonly heartbeatMs: number;
  readonly commandTimeoutMs: number;
}

export interface SoakCounts {
  readonly hits: number;
  readonly loads: number;
  readonly coalesced: number;
  readonly slowestMs: number;
}

export interface SoakOrders {
  /** Ends what it does, and gives what it counted. */
  finish(): Promise<SoakCounts>;
}

/** How many things a process does at the same time. */
const ACTORS = 4;
const LONGEST_PAUSE_MS = 20;
const LEASE_MS = 1_000;
const PROBE_AFTER_MS = 250;
/** Reads are told of so often; changes at once, as they must be known of if this process is killed. */
const TELL_MS = 20;
const LOOK_MS = 2;

const { redisUrl, sourceUrl, seed, heartbeatMs, commandTimeoutMs } = readSettings<SoakSettings>();
const random = new Random(seed);
const source = new Redis(sourceUrl);
const redis = openGuardedRedis(redisUrl, { commandTimeoutMs, probeAfterMs: PROBE_AFTER_MS });
const families = makeFamilies();
const cache = openCache({
  namespace: NAMESPACE,
  families,
  redis,
  heartbeatMs,
  aloneTtlMs: heartbeatMs,
  leaseMs: LEASE_MS,
  failureTtlMs: 50,
});
let reads: SoakEvent[] = [];
let number = 0;
let slowestMs = 0;
let isFinishing = false;
const settling = new Set<Promise<void>>();

const telling = setInterval(tellReads, TELL_MS);
const actors = Array.from({ length: ACTORS }, act);
takeOrders<SoakOrders>({
  async finish() {
    isFinishing = true;
    await Promise.all(actors);
    await Promise.all(settling);
    clearInterval(telling);
    tellReads();
    const { total } = cache.own();
    const { hits, loads, coalesced } = total;
    return {
      hits: hits.l1 + hits.redis,
      loads,
      coalesced: coalesced.process + coalesced.redis,
      slowestMs,
    };
  },
});

async function act(): Promise<void> {
  while (!isFinishing) {
    await pause(random.between(0, LONGEST_PAUSE_MS));
    await (random.next() < 0.85 ? read() : change());
  }
}

function tellReads(): void {
  if (reads.length > 0) tell(reads);
  reads = [];
}

function anyPlace(): Place {
  return { family: random.pick(FAMILIES), user: random.pick(USERS), id: random.pick(IDS) };
}

async function read(): Promise<void> {
  const place = anyPlace();
  const { user, id } = place;
  const family = cache.families[place.family];
  const way = random.choose({ getOrSet: 12, get: 4, getMany: 2, peek: 2 });
  const at = sharedNow();
  switch (way) {
    case "getOrSet":
      // A source that fails now and then is no news.
      note(place, await family.getOrSet(user, id, () => load(place)).catch(() => undefined));
      break;
    case "get":
      note(place, await family.get(user, id));
      break;
    case "getMany": {
      const many = await family.getMany(
        user,
        IDS.map((one) => [one] as const),
      );
      for (const [index, value] of many.entries()) note({ ...place, id: IDS[index] ?? id }, value);
      break;
    }
    case "peek":
      note(place, family.peek(user, id));
  }
  slowestMs = Math.max(slowestMs, sharedNow() - at);

  function note(where: Place, value: Edition | undefined): void {
    if (value === undefined) return;
    reads.push({ kind: "read", name: nameOf(where), edition: value.edition, way, at, endedAt: sharedNow() });
  }
}

async function load(place: Place): Promise<Edition> {
  const edition = Number(await source.hget("editions", nameOf(place)));
  const speed = random.choose({ quick: 16, slow: 3, failing: 1 });
  await pause(speed === "slow" ? random.between(100, 400) : random.between(0, 10));
  if (speed === "failing") throw new Error("The source fails.");
  return { edition };
}

/** Changes what the source holds, tells the cache of it, and tells when that is known everywhere. */
async function change(): Promise<void> {
  const place = anyPlace();
  const { user, id } = place;
  const family = cache.families[place.family];
  if (place.family === "revised") {
    await makeChange("set", [place], ([edition = 0]) => family.set(user, id, { edition }));
    return;
  }
  const way = random.choose({ delete: 10, expire: 3, tag: 3, pattern: 2, clear: 1 });
  switch (way) {
    case "delete":
      await makeChange(way, [place], () => family.delete(user, id));
      break;
    case "expire":
      await makeChange(way, [place], () => family.expire(user, id));
      break;
    case "tag": {
      const group = random.pick(GROUPS);
      const places = INVALIDATED.flatMap((name) => placesOf(name, user, group));
      await makeChange(way, places, () => cache.deleteByTag({ user }, group));
      break;
    }
    case "pattern": {
      const places = placesOf(place.family).filter((one) => one.id === id);
      await makeChange(way, places, () => cache.deleteByPattern(`${place.family}:=${id}`));
      break;
    }
    case "clear":
      await makeChange(way, placesOf(place.family), () => cache.clear(place.family));
  }
}

async function makeChange(
  way: string,
  places: readonly Place[],
  tellCache: (editions: readonly number[]) => Promise<unknown>,
): Promise<void> {
  const names = places.map(nameOf);
  number += 1;
  const own = number;
  const editions = await Promise.all(names.map((name) => source.hincrby("editions", name, 1)));
  tell([
    {
      kind: "change",
      number: own,
      at: sharedNow(),
      way,
      stores: way === "set",
      graceMs: way === "expire" ? GRACE_MS : 0,
      editions: names.map((name, index) => ({ name, edition: editions[index] ?? 0 })),
    },
  ] satisfies SoakEvent[]);
  const begunAt = sharedNow();
  await tellCache(editions);
  slowestMs = Math.max(slowestMs, sharedNow() - begunAt);
  tell([{ kind: "resolved", number: own, at: sharedNow() }] satisfies SoakEvent[]);
  const settled = settle(own);
  settling.add(settled);
  void settled.then(() => settling.delete(settled));
}

async function settle(own: number): Promise<void> {
  while (cache.health().pendingRemovals > 0) await pause(LOOK_MS);
  tell([{ kind: "settled", number: own, at: sharedNow() }] satisfies SoakEvent[]);
}

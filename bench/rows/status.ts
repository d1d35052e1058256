import { startRedis } from "@mythic/testing/redis";
import type { ServerOrders, ServerSettings } from "../children/server.ts";
import { Client, createKey, makeDataDir, RATE_LIMITS, startApi } from "../measuring/api.ts";
import { loadServer } from "../measuring/http-load.ts";
import { askInTurns, TURN_MS, TURNS } from "../measuring/in-turns.ts";
import { median } from "../measuring/statistics.ts";
import { atMost, BARE_MINIMUM, defineRow, MYTHIC } from "../row.ts";
import { number } from "../table.ts";

const OK = "200: CPU ÷ node:http";
const UNCHANGED = "304: CPU ÷ node:http";
const LOAD = { connections: 50, staysAwake: true };
const SMOKE_TURNS = 1;
/** Until what answers has been compiled. */
const WARM_UP_MS = 5_000;

export const row = defineRow({
  name: "status",
  measures:
    "Server CPU of one GET /status/<run> with key and rate limit, as a share of what bare node:http needs to send the same body.",
  how: `${LOAD.connections} connections that ask anew after each answer from a process that never sleeps, in ${TURNS} turns of ${TURN_MS} ms a round, after each server has warmed up for ${WARM_UP_MS / 1_000}; processor time as the system counts it for the server's process. 304 is the answer to the ETag. Bare minimum: node:http with a prepared buffer; express: res.json of a value, nothing else.`,
  bars: { [OK]: atMost(2.5), [UNCHANGED]: atMost(2.2) },
  async run(bench) {
    await using stack = new AsyncDisposableStack();
    const redis = stack.use(await startRedis());
    const dataDir = stack.use(await makeDataDir());
    const environment = { MYTHIC_DATA_DIR: dataDir.path, REDIS_URL: redis.url, RATE_LIMITS };
    const key = await createKey(environment, "reader", "user");
    const api = stack.use(await startApi(environment));
    const client = new Client(api.url, key);
    const path = `/status/${await client.startRun(await client.uploadBook("Tides", 3))}`;
    const answer = await client.ask("GET", path);
    const body = await answer.text();
    const etag = answer.headers.get("etag") ?? "";

    const startServer = async (kind: ServerSettings["kind"]) => {
      const server = stack.use(
        await bench.child<ServerOrders>("server", { kind, body } satisfies ServerSettings),
      );
      return { id: server.id, ...(await server.order("address", null)) };
    };
    const bare = await startServer("node:http");
    const express = await startServer("express");
    const url = `${api.url}${path}`;
    const { headers } = client;
    const known = { ...headers, "if-none-match": etag };
    const warmUp = { ...LOAD, forMs: bench.size(WARM_UP_MS, TURN_MS) };
    await loadServer({ ...warmUp, url, headers, status: 200 });
    await loadServer({ ...warmUp, url, headers: known, status: 304 });
    await loadServer({ ...warmUp, url: bare.url, status: 200 });
    await loadServer({ ...warmUp, url: express.url, status: 200 });
    const contenders = {
      base: { id: bare.id, load: { ...LOAD, url: bare.url, status: 200 } },
      ok: { id: api.id, load: { ...LOAD, url, headers, status: 200 } },
      unchanged: { id: api.id, load: { ...LOAD, url, headers: known, status: 304 } },
      express: { id: express.id, load: { ...LOAD, url: express.url, status: 200 } },
    };
    const rounds = await bench.repeat(async () => {
      const used = await askInTurns(contenders, bench.size(TURNS, SMOKE_TURNS));
      const base = used.base.cpuUs;
      return {
        base,
        ok: used.ok.cpuUs / base,
        unchanged: used.unchanged.cpuUs / base,
        express: used.express.cpuUs / base,
      };
    });
    const note = `${number(median(rounds.map(({ base }) => base)))} µs`;
    const bareMinimum = { contender: BARE_MINIMUM, samples: [1], note };
    return {
      [OK]: {
        figures: [
          { contender: MYTHIC, samples: rounds.map(({ ok }) => ok) },
          bareMinimum,
          { contender: "express", samples: rounds.map((round) => round.express) },
        ],
      },
      [UNCHANGED]: {
        figures: [{ contender: MYTHIC, samples: rounds.map(({ unchanged }) => unchanged) }, bareMinimum],
      },
    };
  },
});

import { startRedis } from "@mythic/testing/redis";
import type { ServerOrders, ServerSettings } from "../children/server.ts";
import { Client, createKey, makeDataDir, RATE_LIMITS, startApi } from "../measuring/api.ts";
import { type LoadOptions, loadServer } from "../measuring/http-load.ts";
import { cpuMs } from "../measuring/process-cpu.ts";
import { median } from "../measuring/statistics.ts";
import { atMost, BARE_MINIMUM, defineRow, MYTHIC } from "../row.ts";
import { number } from "../table.ts";

const OK = "200: CPU ÷ node:http";
const UNCHANGED = "304: CPU ÷ node:http";
const LOAD = { forMs: 1_000, connections: 50 };
const SMOKE_MS = 200;
/** Until what answers has been compiled. */
const WARM_UP_MS = 5_000;

export const row = defineRow({
  name: "status",
  measures:
    "Server CPU of one GET /status/<run> with key and rate limit, as a share of what bare node:http needs to send the same body.",
  how: `${LOAD.connections} connections that ask anew after each answer, in turns of ${LOAD.forMs / 1_000} s after each server has warmed up for ${WARM_UP_MS / 1_000}; processor time as the system counts it for the server's process. 304 is the answer to the ETag. Bare minimum: node:http with a prepared buffer; express: res.json of a value, nothing else.`,
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
    const load = { ...LOAD, forMs: bench.size(LOAD.forMs, SMOKE_MS) };
    const known = { ...headers, "if-none-match": etag };
    const warmUp = { ...LOAD, forMs: bench.size(WARM_UP_MS, SMOKE_MS) };
    await loadServer({ ...warmUp, url, headers, status: 200 });
    await loadServer({ ...warmUp, url, headers: known, status: 304 });
    await loadServer({ ...warmUp, url: bare.url, status: 200 });
    await loadServer({ ...warmUp, url: express.url, status: 200 });
    const rounds = await bench.repeat(async () => {
      const base = await cpuOfRequests(bare.id, { ...load, url: bare.url, status: 200 });
      const ok = await cpuOfRequests(api.id, { ...load, url, headers, status: 200 });
      const unchanged = await cpuOfRequests(api.id, { ...load, url, headers: known, status: 304 });
      const json = await cpuOfRequests(express.id, { ...load, url: express.url, status: 200 });
      return { base, ok: ok / base, unchanged: unchanged / base, express: json / base };
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

/** CPU of one request, in microseconds, of a server that does nothing else. */
async function cpuOfRequests(serverId: number, load: LoadOptions): Promise<number> {
  const before = cpuMs(serverId);
  const requests = await loadServer(load);
  return ((cpuMs(serverId) - before) * 1_000) / requests;
}

// Interleaved: bare, old tree (OLD), this tree
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { freePort } from "@mythic/testing/free-port";
import { startRedis } from "@mythic/testing/redis";
import { Client, createKey, makeDataDir, RATE_LIMITS } from "./measuring/api.ts";
import { loadServer } from "./measuring/http-load.ts";
import { cpuMs } from "./measuring/process-cpu.ts";
const kinds: Record<string, any> = {};
for (const [name, root] of [["old", process.env.OLD ?? "/tmp/fl/main"], ["new", process.env.NEW ?? "/work/main"]] as const) {
  const redis = await startRedis(); const dataDir = await makeDataDir();
  const environment = { MYTHIC_DATA_DIR: dataDir.path, REDIS_URL: redis.url, RATE_LIMITS };
  const key = await createKey(environment, "reader", "user");
  const port = await freePort(); const url = `http://127.0.0.1:${port}`;
  const child = spawn(process.execPath, [root + "/apps/api/src/main.ts"], { env: { PATH: process.env.PATH, HOME: process.env.HOME, ...environment, PORT: String(port) } as any, stdio: ["ignore", "ignore", "inherit"] });
  for (;;) { try { if ((await fetch(`${url}/health/ready`)).ok) break; } catch {} await new Promise((r) => setTimeout(r, 50)); }
  process.on("exit", () => child.kill());
  const client = new Client(url, key);
  const path = `/status/${await client.startRun(await client.uploadBook("Tides", 3))}`;
  const answer = await client.ask("GET", path); const body = await answer.text(); const etag = answer.headers.get("etag") ?? "";
  if (name === "old") {
    writeFileSync("/tmp/_bare.mjs", `import {createServer} from "node:http"; const content=Buffer.from(${JSON.stringify(body)}); const h={"content-type":"application/json; charset=utf-8","content-length":content.length}; createServer((q,r)=>{r.writeHead(200,h);r.end(content)}).listen(45123,"127.0.0.1",()=>console.log("up"))`);
    const bare = spawn(process.execPath, ["/tmp/_bare.mjs"], { stdio: ["ignore", "pipe", "inherit"] }); await new Promise((r) => bare.stdout!.once("data", r));
    process.on("exit", () => bare.kill());
    kinds.bare = { id: bare.pid!, load: { connections: 50, url: "http://127.0.0.1:45123/status", status: 200 } };
  }
  kinds[name + "200"] = { id: child.pid!, load: { connections: 50, url: url + path, headers: client.headers, status: 200 } };
  kinds[name + "304"] = { id: child.pid!, load: { connections: 50, url: url + path, headers: { ...client.headers, "if-none-match": etag }, status: 304 } };
}
for (const k of Object.values(kinds)) await loadServer({ ...k.load, forMs: 5000, staysAwake: true });
const all: Record<string, number[]> = {};
for (let round = 0; round < Number(process.env.N ?? 8); round++) {
  const sums: any = {};
  for (let t = 0; t < 6; t++) for (const [n, k] of Object.entries(kinds)) { const b = cpuMs(k.id); const c = await loadServer({ ...k.load, forMs: 250, staysAwake: true }); const x = (sums[n] ??= { c: 0, ms: 0 }); x.c += c; x.ms += cpuMs(k.id) - b; }
  const us = Object.fromEntries(Object.entries(sums).map(([n, x]: any) => [n, x.ms * 1000 / x.c])) as any;
  for (const [n, v] of Object.entries(us)) (all[n] ??= []).push(v as number);
}
const med = (a: number[]) => [...a].sort((x, y) => x - y)[a.length >> 1]!;
const b = med(all.bare!);
for (const [n, a] of Object.entries(all)) console.log(n, med(a).toFixed(1), (med(a) / b).toFixed(2));
process.exit(0);

import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { openGuardedRedis, waitForRedis } from "@mythic/shared/redis";
import { freePort } from "@mythic/testing/free-port";
import { startRedis } from "@mythic/testing/redis";
import { waitFor } from "@mythic/testing/wait";

const run = promisify(execFile);
const known = getCACertificates("default");

let stack: AsyncDisposableStack;
beforeEach(() => {
  stack = new AsyncDisposableStack();
});
afterEach(async () => {
  setDefaultCACertificates(known);
  await stack.disposeAsync();
});

/** A server that speaks TLS on a port of its own, with a certificate that nobody knows yet. */
async function startTls() {
  const folder = await mkdtemp(join(tmpdir(), "mythic-tls-"));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const [key, certificate] = [join(folder, "key.pem"), join(folder, "certificate.pem")];
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  const files = ["-keyout", key, "-out", certificate];
  await run("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", ...subject, ...files]);
  const port = await freePort();
  const tls = ["--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", certificate];
  const acl = ["--user", "reader", "on", ">p@ss", "~*", "+@all"];
  stack.use(
    await startRedis({ args: ["--tls-port", String(port), "--tls-auth-clients", "no", ...tls, ...acl] }),
  );
  return {
    port,
    trust: async () => setDefaultCACertificates([...known, await readFile(certificate, "utf8")]),
  };
}

test("rediss: speaks TLS as the user that the address names", async () => {
  const { port, trust } = await startTls();
  await trust();
  const redis = openGuardedRedis(`rediss://reader:p%40ss@localhost:${port}`, {
    commandTimeoutMs: 5_000,
  });
  stack.defer(() => redis.close());
  expect(await waitForRedis(redis, 10_000)).toBe(true);
  expect(await redis.run((connection) => connection.call("ACL", "WHOAMI"))).toBe("reader");
});

test("rediss: does not talk to a server whose certificate nobody vouches for", async () => {
  const { port } = await startTls();
  const errors: string[] = [];
  const redis = openGuardedRedis(`rediss://reader:secret@localhost:${port}`, {
    onError: (error) => errors.push(error.message),
  });
  stack.defer(() => redis.close());
  await waitFor(() => errors.length > 0);
  expect(errors.join()).toMatch(/self-signed certificate/);
  expect(errors.join()).not.toContain("secret");
  expect(redis.breaker.state).toBe("open");
});

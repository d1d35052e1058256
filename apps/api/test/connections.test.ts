import { once } from "node:events";
import { Agent, request as httpRequest, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { expect, test } from "@jest/globals";
import { waitFor } from "@mythic/testing/wait";
import { startTestApi, textBook } from "./test-api.ts";

test("a server that stops answers what is at work, and does not wait for a next request", async () => {
  await using api = await startTestApi();
  const agent = new Agent({ keepAlive: true });
  const request = httpRequest(`${api.url}/books`, { method: "POST", agent });
  const answered: Promise<IncomingMessage[]> = once(request, "response");
  request.write(textBook(1));
  await waitFor(async () => (await fetch(`${api.url}/health/live`)).ok);
  const begun = performance.now();
  const closed = api.close();
  request.end();
  const [response] = await answered;
  expect(response?.statusCode).toBe(201);
  response?.resume();
  await closed;
  expect(performance.now() - begun).toBeLessThan(3_000);
  agent.destroy();
});

test("a server that stops does not wait for connections that nothing came on", async () => {
  await using api = await startTestApi();
  const socket = connect(Number(new URL(api.url).port), "127.0.0.1");
  await once(socket, "connect");
  // The server has taken the one before when it has answered this.
  expect((await fetch(`${api.url}/health/live`)).ok).toBe(true);
  const begun = performance.now();
  const ended = once(socket, "close");
  await api.close();
  expect(performance.now() - begun).toBeLessThan(3_000);
  await ended;
});

test("a client that reads nothing of its answers is let go", async () => {
  await using api = await startTestApi({ config: { connectionIdleMs: 200 } });
  const socket = connect(Number(new URL(api.url).port), "127.0.0.1");
  socket.on("error", () => undefined);
  socket.pause();
  // More than the buffers of both sides hold.
  socket.write("GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(20));
  const line = await waitFor(() => api.log.find((entry) => entry["status"] === 499), {
    what: "the answer to be given up",
  });
  expect(line).toMatchObject({ path: "/docs/swagger-ui-bundle.js" });
  socket.destroy();
});

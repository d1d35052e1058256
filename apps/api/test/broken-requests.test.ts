import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { waitFor } from "@mythic/testing/wait";
import { problemSchema } from "../src/wire/shared.ts";
import { startTestApi, type TestApi } from "./test-api.ts";

const HOST = "Host: localhost\r\n";

interface RawAnswer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** Takes apart the answers that came one after the other on a connection. */
function answersIn(text: string): readonly RawAnswer[] {
  const answers: RawAnswer[] = [];
  for (let rest = text; rest !== ""; ) {
    const end = rest.indexOf("\r\n\r\n") + 4;
    const head = rest.slice(0, end);
    const length = Number(/^content-length: (\d+)/im.exec(head)?.[1]);
    if (end < 4 || Number.isNaN(length)) throw new Error(`No answer: ${rest}`);
    answers.push({ status: Number(head.slice(9, 12)), head, body: rest.slice(end, end + length) });
    rest = rest.slice(end + length);
  }
  return answers;
}

describe("a connection", () => {
  let api: TestApi;
  beforeAll(async () => {
    api = await startTestApi();
  });
  afterAll(() => api.close());

  const open = (allowHalfOpen = false): Socket =>
    connect({ port: Number(new URL(api.url).port), host: "127.0.0.1", allowHalfOpen });

  /** Sends bytes as they are and answers everything that comes back until the server hangs up. */
  async function answersTo(text: string): Promise<readonly RawAnswer[]> {
    const socket = open();
    const pieces: Buffer[] = [];
    socket.on("data", (piece) => pieces.push(piece));
    socket.write(text);
    await once(socket, "close");
    return answersIn(Buffer.concat(pieces).toString());
  }

  test("with several requests at once gets all answers in order, a refused body included", async () => {
    const answers = await answersTo(
      [
        `GET /health/live HTTP/1.1\r\n${HOST}\r\n`,
        `POST /runs HTTP/1.1\r\n${HOST}Content-Type: text/xml\r\nContent-Length: 5\r\n\r\nhello`,
        `HEAD /nothing HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`,
      ].join(""),
    );
    expect(answers.map(({ status }) => status)).toEqual([200, 415, 404]);
    expect(answers.at(-1)?.body).toBe("");
  });

  test("that breaks after good requests gets their answers first", async () => {
    const good = `GET /books/my HTTP/1.1\r\n${HOST}\r\n`;
    const answers = await answersTo(`${good}${good}\u0001 what is this\r\n\r\n`);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 400]);
  });

  test("whose body is longer than announced loses no answer to what it began with", async () => {
    const answers = await answersTo(
      `POST /books HTTP/1.1\r\n${HOST}Content-Length: 10\r\n\r\nThe bell rang on.`,
    );
    expect(answers.map(({ status }) => status)).toEqual([201, 400]);
    expect(JSON.parse(answers[0]?.body ?? "")).toMatchObject({ bytes: 10 });
  });

  test.each([
    [
      "a chunk without a length",
      `POST /books HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n5\r\nHello\r\nZZ\r\n`,
      400,
    ],
    [
      "a length and chunks",
      `POST /books HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n`,
      400,
    ],
    ["two hosts", `GET /books/my HTTP/1.1\r\n${HOST}Host: evil.example\r\nConnection: close\r\n\r\n`, 400],
    ["a tunnel", `CONNECT evil.example:443 HTTP/1.1\r\n${HOST}\r\n`, 405],
    ["an address that is too long", `GET /${"a".repeat(17_000)} HTTP/1.1\r\n${HOST}\r\n`, 431],
    ["too many headers", `GET /books/my HTTP/1.1\r\n${HOST}${"a: b\r\n".repeat(3_000)}\r\n`, 431],
    ["another version of HTTP", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400],
  ])("that brings %s is answered with a problem and ended", async (_what, text, status) => {
    const [answer, ...more] = await answersTo(text);
    expect(more).toEqual([]);
    expect(answer?.status).toBe(status);
    expect(answer?.head.toLowerCase()).toContain("content-type: application/problem+json");
    const problem = problemSchema.parse(JSON.parse(answer?.body ?? ""));
    expect(problem.status).toBe(status);
    expect(answer?.head.toLowerCase()).toContain(`x-request-id: ${problem.request_id}`);
  });

  test("that is broken is not kept open by a client that never hangs up", async () => {
    // Both ends are in this process.
    const ends = () => process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap").length;
    const socket = open(true);
    await once(socket, "connect");
    await waitFor(() => ends() >= 2);
    const before = ends();
    socket.resume();
    socket.write("no HTTP\r\n\r\n");
    await once(socket, "end");
    await waitFor(() => ends() === before - 1, { what: "the server to give up" });
    socket.destroy();
  });

  test("that asks to become another protocol is answered as what it is", async () => {
    const [answer] = await answersTo(
      `GET /health/live HTTP/1.1\r\n${HOST}Connection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n`,
    );
    expect(answer?.status).toBe(200);
  });
});

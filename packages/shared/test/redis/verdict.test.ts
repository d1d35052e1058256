import { describe, expect, test } from "@jest/globals";
import { swallowedError, verdictOf } from "../../src/redis/verdict.ts";

const reply = (message: string) => Object.assign(new Error(message), { name: "ReplyError" });

describe("the verdict on an error", () => {
  test.each(["LOADING Redis is loading", "BUSY Redis is busy", "CLUSTERDOWN The cluster is down", "NOAUTH"])(
    "%s: Redis cannot serve",
    (message) => expect(verdictOf(reply(message))).toBe("down"),
  );

  test.each(["OOM command not allowed", "READONLY You", "MISCONF Errors", "NOREPLICAS Not", "NOPERM this"])(
    "%s: Redis is there and refuses",
    (message) => expect(verdictOf(reply(message))).toBe("refused"),
  );

  test.each(["WRONGTYPE Operation", "ERR unknown command", "NOSCRIPT No", "OOMPH is no word"])(
    "%s: Redis is there",
    (message) => expect(verdictOf(reply(message))).toBe("answered"),
  );

  test("errors of the connection say that Redis cannot serve", () => {
    expect(verdictOf(new Error("Connection is closed."))).toBe("down");
    expect(verdictOf(Object.assign(new Error("reset"), { code: "ECONNRESET" }))).toBe("down");
    const aborted = Object.assign(new Error("aborted"), { name: "AbortError", command: { name: "get" } });
    expect(verdictOf(aborted)).toBe("down");
  });

  test("errors of the caller's own say nothing of Redis", () => {
    expect(verdictOf(new TypeError("not a function"))).toBe("foreign");
    expect(verdictOf(AbortSignal.abort().reason)).toBe("foreign");
    expect(verdictOf("odd")).toBe("foreign");
  });
});

describe("what a pipeline swallowed", () => {
  test("is the first error among its results", () => {
    const error = reply("OOM");
    expect(
      swallowedError([
        [null, "a"],
        [error, undefined],
        [reply("second"), undefined],
      ]),
    ).toBe(error);
  });

  test("is nothing in other replies", () => {
    for (const other of [null, "text", 1, [], ["a", null], [[null, "a"]], [["key", "value"]]]) {
      expect(swallowedError(other)).toBeNull();
    }
  });
});

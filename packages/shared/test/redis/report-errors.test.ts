import { inspect } from "node:util";
import { describe, expect, test } from "@jest/globals";
import { reportErrors, toRedisError } from "@mythic/shared/redis";

describe("reported errors", () => {
  test("come once in ten seconds for each message", () => {
    let now = 0;
    const seen: string[] = [];
    const report = reportErrors(
      (error) => seen.push(`${now} ${error.message}`),
      () => now,
    );
    for (now = 0; now <= 20_000; now += 2_500) {
      report(new Error("refused"));
      if (now === 5_000) report(new Error("timed out"));
    }
    expect(seen).toEqual(["0 refused", "5000 timed out", "10000 refused", "20000 refused"]);
  });

  test("carry a message and the system's code, and no arguments of the command", () => {
    const reply = Object.assign(new Error("WRONGPASS"), {
      command: { name: "auth", args: ["secret"] },
      code: "EXAMPLE",
    });
    const error = toRedisError(reply);
    expect(error).toMatchObject({ message: "WRONGPASS", code: "EXAMPLE" });
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain("secret");
  });

  test("of a host with several addresses say why each failed", () => {
    const both = new AggregateError([new Error("refused by ::1"), new Error("refused by 127.0.0.1")]);
    expect(toRedisError(both).message).toBe("refused by ::1; refused by 127.0.0.1");
    expect(toRedisError("odd").message).toBe("odd");
  });
});

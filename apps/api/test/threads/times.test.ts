import { describe, expect, test } from "@jest/globals";
import { waitFor } from "@mythic/testing/wait";
import { NO_POLICIES } from "../../src/policies.ts";
import { SET_UPS, startAnsweringApi } from "../answering-api.ts";
import { ask } from "./ask.ts";

describe.each(SET_UPS)("over %s", (setUp) => {
  test("max-age and the time to keep count in seconds, and are kept to [T34 Portkey#1256 Portkey#201]", async () => {
    await using answering = await startAnsweringApi(setUp, { config: { policies: NO_POLICIES } });
    if (answering === null) return;
    const client = await answering.client();
    const age = async (prompt: string, maxAge: string) => {
      const headers = { "cache-control": `only-if-cached, ${maxAge}` };
      const asking = ask(client, prompt, { headers });
      return await asking.then(
        (asked) => Number(asked.headers.get("x-mythic-cache-age")),
        () => null,
      );
    };
    await ask(client, "For a minute.", { headers: { "x-mythic-cache-ttl": "60" } });
    await ask(client, "For a second.", { headers: { "x-mythic-cache-ttl": "1" } });
    expect(await age("For a minute.", "max-age=60")).toEqual(expect.any(Number));
    await waitFor(async () => (await age("For a second.", "")) === null);
    // Were they milliseconds, it would be gone or too old.
    expect(await age("For a minute.", "max-age=60")).toBeGreaterThanOrEqual(1);
    expect(await age("For a minute.", "max-age=1")).toBeNull();
    expect(await age("For a minute.", "")).toBeGreaterThanOrEqual(1);
    const { cache } = await ask(client, "For a minute.", { headers: { "cache-control": "max-age=1" } });
    expect(cache).toBe("miss");
    expect(await age("For a minute.", "max-age=60")).toBe(0);
  });
});

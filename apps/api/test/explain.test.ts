import { describe, expect, test } from "@jest/globals";
import { SET_UPS, startAnsweringApi } from "./answering-api.ts";

const REQUEST = {
  model: "gpt-5-mini",
  temperature: 0,
  messages: [
    { role: "system", content: "Be brief." },
    { role: "user", content: "Say hello." },
  ],
};

describe.each(SET_UPS)("POST /answers/explain over %s", (setUp) => {
  test("says which field differs from the nearest request, and shows no text", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const { api } = answering;
    const ask = (await answering.client("ada")).chat.completions;
    const { authorization } = await api.key("eve", "admin");
    const explain = async (request: unknown, headers = {}) => {
      const response = await fetch(`${api.url}/answers/explain?user=ada`, {
        method: "POST",
        headers: { authorization, "content-type": "application/json", ...headers },
        body: JSON.stringify(request),
      });
      return (await response.json()) as Record<string, unknown>;
    };
    expect(await explain(REQUEST)).toMatchObject({ cause: "nothing_like_it" });
    await ask.create(REQUEST as never);
    expect(await explain(REQUEST)).toMatchObject({ cause: "none" });
    const other = {
      ...REQUEST,
      messages: [REQUEST.messages[0], { role: "user", content: "Say goodbye." }],
      top_p: 1,
    };
    const explained = await explain(other);
    expect(explained).toMatchObject({
      cause: "different",
      differences: [
        { field: "messages[1]", how: "changed" },
        { field: "top_p", how: "added" },
      ],
    });
    expect(JSON.stringify(explained)).not.toMatch(/hello|goodbye|brief/);
    answering.fake.script({ times: 1, does: { kind: "truncate" } });
    await ask.create({ ...REQUEST, seed: 7 } as never);
    expect(await explain({ ...REQUEST, seed: 7 })).toMatchObject({ cause: "not_stored" });
  });

  test("is for admins, and needs a request", async () => {
    await using answering = await startAnsweringApi(setUp);
    if (answering === null) return;
    const { api } = answering;
    const ask = async (role: "user" | "admin", body: string) => {
      const { authorization } = await api.key("eve", role);
      const headers = { authorization, "content-type": "application/json" };
      return (await fetch(`${api.url}/answers/explain`, { method: "POST", headers, body })).status;
    };
    expect(await ask("user", JSON.stringify(REQUEST))).toBe(403);
    expect(await ask("admin", "{}")).toBe(422);
    expect(await ask("admin", "{")).toBe(400);
  });
});

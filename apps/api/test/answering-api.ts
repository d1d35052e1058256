import { Upstream, Upstreams } from "@mythic/llm";
import { openStore } from "@mythic/runs/store";
import { type FakeOpenAi, startFakeOpenAi } from "@mythic/testing/fake-openai";
import { freshDatabase, mongoUrl } from "@mythic/testing/mongo";
import { redisUrl } from "@mythic/testing/redis";
import OpenAI from "openai";
import { startTestApi, type TestApi, type TestApiOptions } from "./test-api.ts";

/** What answers are kept with. */
export type SetUp = "Redis and MongoDB" | "SQLite alone";
export const SET_UPS: readonly SetUp[] = ["Redis and MongoDB", "SQLite alone"];

export interface AnsweringApi extends AsyncDisposable {
  readonly api: TestApi;
  /** Null: the store is the file of `api`. */
  readonly mongodbUrl: string | null;
  /** The endpoint upstream. */
  readonly fake: FakeOpenAi;
  /** The official SDK with a new key of this user, which makes no retries of its own. */
  client(user?: string): Promise<OpenAI>;
}

export interface AnsweringApiOptions extends Omit<TestApiOptions, "models" | "beside"> {
  readonly models?: TestApiOptions["models"];
  /** Shares the endpoint, the store and Redis with this one, in a process of its own as far as answers know. To be closed before it. */
  readonly beside?: AnsweringApi;
  readonly fake?: FakeOpenAi;
}

/** The API with one endpoint that is asked for any model. Null where the set-up needs a service that is not there. */
export async function startAnsweringApi(
  setUp: SetUp,
  { fake: given, models, beside, ...options }: AnsweringApiOptions = {},
): Promise<AnsweringApi | null> {
  await using stack = new AsyncDisposableStack();
  const fake = given ?? beside?.fake ?? stack.use(await startFakeOpenAi());
  const upstream = new Upstream({
    name: "fake",
    baseUrl: fake.baseUrl,
    apiKey: "up",
    models: ["gpt-5-mini", "*"],
  });
  const mongodbUrl = beside?.mongodbUrl ?? (await databaseOf(setUp));
  if (mongodbUrl === undefined) return null;
  const api = stack.use(
    await startTestApi({
      ...(mongodbUrl === null ? {} : await placeOf(mongodbUrl)),
      ...(beside === undefined ? {} : { beside: beside.api }),
      ...options,
      models: { upstreams: new Upstreams([upstream]), ...models },
    }),
  );
  const held = stack.move();
  return {
    api,
    mongodbUrl,
    fake,
    async client(user = "ada") {
      const { authorization } = await api.key(user);
      const apiKey = authorization.replace("Bearer ", "");
      return new OpenAI({ apiKey, baseURL: `${api.url}/v1`, maxRetries: 0 });
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/** Null: there is none; undefined: there is none although the set-up needs one. */
async function databaseOf(setUp: SetUp): Promise<string | null | undefined> {
  if (setUp === "SQLite alone") return null;
  const url = await mongoUrl();
  return url === null ? undefined : freshDatabase(url);
}

async function placeOf(mongodbUrl: string): Promise<TestApiOptions> {
  return { store: await openStore({ mongodbUrl, dataDir: "" }), redisUrl: await redisUrl() };
}

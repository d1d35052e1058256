import {
  type Amount,
  amountOf,
  CALL_PARTS,
  type CallPart,
  type CallSums,
  type DailyUsage,
  type Day,
  type DayRange,
  dailyUsage,
  dayOf,
  type Saved,
  type SavedSums,
} from "../../usage.ts";
import { date, fromJson } from "./columns.ts";
import type { Database } from "./database.ts";
import { daysOf } from "./ledger-days.ts";

/** Which calls are part of it, and what is summed. A cost of null is one that is not known. */
const PARTS: Readonly<
  Record<CallPart, { readonly when: string; readonly tokens: string; readonly cost: string }>
> = {
  spent: { when: "TRUE", tokens: "tokens", cost: "cost" },
  promptCache: { when: "cached_tokens > 0", tokens: "cached_tokens", cost: "prompt_cache_saved" },
  tier: { when: "tier_saved IS NOT 0", tokens: "tokens", cost: "tier_saved" },
  unusable: { when: "state = 'failed' AND cost IS NOT 0", tokens: "tokens", cost: "cost" },
  twice: { when: "paid_twice", tokens: "tokens", cost: "cost" },
  unknown: { when: "state = 'unknown' AND cost IS NOT 0", tokens: "tokens", cost: "cost" },
};

/** Names and values of a JSON object: the `Amount` of a part. */
function amountIn(part: CallPart): string {
  const { when, tokens, cost } = PARTS[part];
  return `'${part}Calls', count(*) FILTER (WHERE ${when}),
    '${part}Tokens', coalesce(sum(${tokens}) FILTER (WHERE ${when}), 0),
    '${part}Cost', coalesce(sum(${cost}) FILTER (WHERE ${when}), 0),
    '${part}Unpriced', count(*) FILTER (WHERE ${when} AND ${cost} IS NULL)`;
}

const CALLS = `
SELECT model_asked AS model, json_object(${CALL_PARTS.map(amountIn).join(", ")},
  'inputTokens', coalesce(sum(input_tokens), 0), 'cachedTokens', coalesce(sum(cached_tokens), 0),
  'outputTokens', coalesce(sum(output_tokens), 0)) AS sums
FROM ledger`;

const SPENT = `SELECT json_object(${amountIn("spent")}) AS sums FROM ledger WHERE user = $user AND day = $day`;

const SAVED = `
SELECT day, model, cause, sum(calls) AS calls, sum(tokens) AS tokens, sum(cost) AS cost, sum(unpriced) AS unpriced
FROM savings`;

const COUNT_SAVED = `
INSERT INTO savings (user, day, model, cause, calls, tokens, cost, unpriced)
VALUES ($user, $day, $model, $cause, $calls, $tokens, $cost, $unpriced)
ON CONFLICT (user, day, model, cause) DO UPDATE SET calls = calls + $calls, tokens = tokens + $tokens, cost = cost + $cost,
  unpriced = unpriced + $unpriced`;

interface SumsRow {
  readonly model: string;
  /** JSON. */
  readonly sums: string;
}

export class LedgerUsage {
  readonly #database: Database;
  readonly #now: () => number;

  constructor(database: Database, now: () => number) {
    this.#database = database;
    this.#now = now;
  }

  async ofDays(user: string | null, range: DayRange): Promise<readonly DailyUsage[]> {
    const mine = user === null ? "day = $day" : "user = $user AND day = $day";
    const usage: DailyUsage[] = [];
    for await (const day of daysOf(this.#database, ["ledger", "savings"], range)) {
      const values = { user, day };
      const calls = await this.#database.read((statements) =>
        statements.all<SumsRow>(`${CALLS} WHERE ${mine} GROUP BY model_asked`, values),
      );
      const saved = await this.#database.read((statements) =>
        statements.all<SavedSums>(`${SAVED} WHERE ${mine} GROUP BY model, cause`, values),
      );
      usage.push(
        ...dailyUsage(
          calls.map(({ model, sums }) => ({ day, model, sums: sumsOf(sums) })),
          saved,
        ),
      );
    }
    return usage;
  }

  async spentOn(user: string, day: Day): Promise<Amount> {
    const found = await this.#database.read((statements) =>
      statements.get<Pick<SumsRow, "sums">>(SPENT, { user, day }),
    );
    return amountOf(found ? sumsOf(found.sums) : {}, "spent");
  }

  async countSaved(user: string, { model, cause, calls, tokens, cost, unpriced }: Saved): Promise<void> {
    const day = dayOf(date(this.#now()));
    await this.#database.run(COUNT_SAVED, { user, day, model, cause, calls, tokens, cost, unpriced });
  }
}

function sumsOf(json: string): CallSums["sums"] {
  return fromJson<CallSums["sums"]>(json);
}

import type {
  Amount,
  AnswerQuery,
  Ledger,
  LedgerOpening,
  LedgerSettlement,
  PastAnswer,
  Saved,
} from "../src/ledger.ts";

type Row = LedgerOpening &
  Omit<LedgerSettlement, "state"> & {
    readonly state: LedgerSettlement["state"] | "sent";
    readonly settledAt: Date | null;
  };

/** The ledger's contract in memory, with the faults that a test asks for. */
export class MemoryLedger implements Ledger {
  readonly rows = new Map<string, Row>();
  readonly saved: Saved[] = [];
  now = new Date("2026-01-01T00:00:00Z");
  /** How many of the next settlements fail. */
  failingSettlements = 0;
  failingSpent = 0;
  failingOpenings = 0;

  async open(user: string, opening: LedgerOpening): Promise<void> {
    if (this.failingOpenings > 0) {
      this.failingOpenings -= 1;
      throw new Error("The store is away.");
    }
    const key = `${user} ${opening.id}`;
    if (this.rows.has(key)) throw new Error(`There is a row ${opening.id} already.`);
    this.rows.set(key, {
      ...opening,
      state: "sent",
      modelAnswered: null,
      inputTokens: null,
      cachedTokens: null,
      outputTokens: null,
      promptCacheSaved: 0,
      tierSaved: 0,
      latencyMs: null,
      outcome: null,
      answer: null,
      message: null,
      settledAt: null,
    });
  }

  async settle(user: string, id: string, settlement: LedgerSettlement): Promise<void> {
    if (this.failingSettlements > 0) {
      this.failingSettlements -= 1;
      throw new Error("The store is away.");
    }
    const row = this.rows.get(`${user} ${id}`);
    if (row === undefined) throw new Error(`There is no row ${id}.`);
    this.rows.set(`${user} ${id}`, {
      ...row,
      ...settlement,
      tokens: tokensOf(settlement) ?? row.tokens,
      settledAt: this.now,
    });
  }

  async findAnswer(scope: string, query: AnswerQuery): Promise<PastAnswer | null> {
    const found = [...this.rows.values()].findLast(
      (row) =>
        row.scope === scope &&
        row.state === "answered" &&
        row.answer !== null &&
        row.keyId === query.keyId &&
        row.recipe === query.recipe &&
        row.recipeVersion === query.recipeVersion &&
        row.settledAt !== null &&
        row.settledAt >= query.since,
    );
    return found ?? null;
  }

  async spent(user: string, runId: string): Promise<{ readonly cost: number | null }> {
    if (this.failingSpent > 0) {
      this.failingSpent -= 1;
      throw new Error("The store is away.");
    }
    let cost: number | null = 0;
    for (const [key, row] of this.rows) {
      if (!key.startsWith(`${user} `) || row.runId !== runId) continue;
      cost = cost === null || row.cost === null ? null : cost + row.cost;
    }
    return { cost };
  }

  async spentOn(user: string): Promise<Amount> {
    const rows = [...this.rows].filter(([key]) => key.startsWith(`${user} `)).map(([, row]) => row);
    return {
      calls: rows.length,
      tokens: rows.reduce((sum, row) => sum + row.tokens, 0),
      cost: rows.reduce((sum, row) => sum + (row.cost ?? 0), 0),
      unpriced: rows.filter((row) => row.cost === null).length,
    };
  }

  async countSaved(_user: string, saved: Saved): Promise<void> {
    this.saved.push(saved);
  }

  row(id: string, user = "ada"): Row {
    const row = this.rows.get(`${user} ${id}`);
    if (row === undefined) throw new Error(`There is no row ${id}.`);
    return row;
  }
}

function tokensOf({ inputTokens, outputTokens }: LedgerSettlement): number | null {
  return inputTokens === null || outputTokens === null ? null : inputTokens + outputTokens;
}

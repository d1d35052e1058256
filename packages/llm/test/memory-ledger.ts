import type { AnswerQuery, Ledger, LedgerOpening, LedgerSettlement, PastAnswer } from "../src/ledger.ts";

type Row = LedgerOpening &
  Omit<LedgerSettlement, "state"> & {
    readonly state: LedgerSettlement["state"] | "sent";
    readonly settledAt: Date | null;
  };

/** The ledger's contract in memory, with the faults that a test asks for. */
export class MemoryLedger implements Ledger {
  readonly rows = new Map<string, Row>();
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
      inputTokens: 0,
      cachedTokens: 0,
      outputTokens: 0,
      latencyMs: null,
      outcome: null,
      answer: null,
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
    this.rows.set(`${user} ${id}`, { ...row, ...settlement, settledAt: this.now });
  }

  async findAnswer(user: string, query: AnswerQuery): Promise<PastAnswer | null> {
    const found = [...this.rows].findLast(
      ([key, row]) =>
        key.startsWith(`${user} `) &&
        row.state === "answered" &&
        row.answer !== null &&
        row.digest === query.digest &&
        row.recipe === query.recipe &&
        row.recipeVersion === query.recipeVersion &&
        row.settledAt !== null &&
        row.settledAt >= query.since,
    );
    return found?.[1] ?? null;
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

  row(id: string, user = "ada"): Row {
    const row = this.rows.get(`${user} ${id}`);
    if (row === undefined) throw new Error(`There is no row ${id}.`);
    return row;
  }
}

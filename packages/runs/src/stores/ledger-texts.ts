import type { LedgerRow, Sealer } from "../ledger.ts";

type Texts = Pick<LedgerRow, "answer" | "message">;

/** The texts of the ledger as a store keeps them: sealed, each bound to its row and field, when there is a sealer. */
export class LedgerTexts {
  readonly #sealer: Sealer | null;

  constructor(sealer: Sealer | null) {
    this.#sealer = sealer;
  }

  toStored(id: string, { answer, message }: Texts): Texts {
    return { answer: this.#seal(id, "answer", answer), message: this.#seal(id, "message", message) };
  }

  /** The row with its texts readable, and null where they cannot be opened. */
  fromStored(row: LedgerRow): LedgerRow {
    const { id, answer, message } = row;
    return { ...row, answer: this.#open(id, "answer", answer), message: this.#open(id, "message", message) };
  }

  #seal(id: string, field: keyof Texts, text: string | null): string | null {
    return text === null || this.#sealer === null ? text : this.#sealer.seal(text, placeOf(id, field));
  }

  #open(id: string, field: keyof Texts, stored: string | null): string | null {
    return stored === null || this.#sealer === null ? stored : this.#sealer.open(stored, placeOf(id, field));
  }
}

function placeOf(id: string, field: keyof Texts): string {
  return JSON.stringify(["ledger", id, field]);
}

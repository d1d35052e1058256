import type { Charge } from "./charge.ts";
import { type Claim, claimOf, stakesOf } from "./claim.ts";
import { type Judgement, refusalMs } from "./gcra.ts";
import type { Tiers } from "./tiers.ts";
import type { Attempt } from "./waiting-line.ts";

/** Where one who waits stands: it tries, and once it was overtaken it holds what it claims. */
export class Place {
  readonly #charges: readonly Charge[];
  readonly #tiers: Tiers;
  readonly #clock: () => number;
  #claim: Claim | null = null;

  constructor(charges: readonly Charge[], tiers: Tiers, clock: () => number) {
    this.#charges = charges;
    this.#tiers = tiers;
    this.#clock = clock;
  }

  async attempt(isOvertaken: boolean): Promise<Attempt<Judgement>> {
    const judgement = await this.#tiers.take(this.#charges, isOvertaken ? "claim" : "take", this.#claim);
    const { charges, verdict } = judgement;
    this.#claim = null;
    if (verdict.waitMs <= 0) return { outcome: judgement };
    if (isOvertaken) this.#claim = claimOf(judgement, this.#clock());
    const refusing = charges.filter((charge, index) => refusalMs(charge, verdict, index) > 0);
    return { refusedBy: refusing.map(({ key }) => key), waitMs: verdict.waitMs };
  }

  /** Gives back what is claimed. */
  async leave(): Promise<void> {
    if (this.#claim === null) return;
    const { judgement } = this.#claim;
    const stakes = stakesOf(this.#claim, this.#clock());
    this.#claim = null;
    const refunds = judgement.charges.map(({ key }, index) => ({
      key,
      deltaMs: -(stakes[index]?.creditMs ?? 0),
      blockMs: 0,
    }));
    await this.#tiers.amend(judgement, refunds);
  }
}

/** Amounts travel as whole nano-dollars. */
const NANO = 9;

/** `0.25` (dollars) as nano-dollars, exactly. Null for what is not an amount. */
export function nanoDollars(text: string): number | null {
  const match = /^(\d{1,6})(?:\.(\d{1,9}))?$/.exec(text.trim());
  if (!match) return null;
  return Number(`${match[1]}${(match[2] ?? "").padEnd(NANO, "0")}`);
}

/** Nano-dollars for people: `$0.0042`. */
export function dollars(amount: number): string {
  const value = amount / 10 ** NANO;
  return `$${value === 0 || value >= 1 ? value.toFixed(2) : value.toPrecision(2)}`;
}

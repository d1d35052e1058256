/** How values of the contract are kept in columns: times as integers, lists and objects as JSON. */
export function date(ms: number): Date {
  return new Date(ms);
}

export function dateOrNull(ms: number | null): Date | null {
  return ms === null ? null : new Date(ms);
}

export function msOrNull(time: Date | null): number | null {
  return time === null ? null : time.getTime();
}

/** Nothing at all is kept as null. */
export function toJson(value: unknown): string {
  return JSON.stringify(value === undefined ? null : value);
}

/** The caller names the shape; nothing but `toJson` of the same shape wrote the column. */
export function fromJson<Value>(text: string): Value {
  return JSON.parse(text) as Value;
}

export function toJsonOrNull(value: object | null): string | null {
  return value === null ? null : toJson(value);
}

export function fromJsonOrNull<Value>(text: string | null): Value | null {
  return text === null ? null : fromJson<Value>(text);
}

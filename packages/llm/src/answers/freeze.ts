/** Keeps a value as it is, to its depth, so that it can be given to many. For JSON and dates; who changes it all the same gets a TypeError. */
export function freeze<Value>(value: Value): Value {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const part of Object.values(value)) freeze(part);
  return value;
}

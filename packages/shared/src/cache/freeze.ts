/** Freezes a value made of JSON and all that is in it. */
export function deepFreeze<Value>(value: Value): Value {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) freezeObject(value);
  return value;
}

function freezeObject(value: object): void {
  // Bytes cannot be frozen.
  if (ArrayBuffer.isView(value)) return;
  Object.freeze(value);
  for (const item of Object.values(value)) {
    if (typeof item === "object" && item !== null) freezeObject(item);
  }
}

/**
 * A text for each value made of primitives, arrays, plain objects, dates and bytes; equal values have the same one, whatever the order of their properties, and distinct values never do.
 *
 * @throws TypeError for anything else, and for a value that contains itself
 */
export function canonicalText(value: unknown): string {
  return write(value, []);
}

function write(value: unknown, above: readonly object[]): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value);
    case "number":
    case "boolean":
    case "undefined":
      return String(value);
    case "bigint":
      return `${value}n`;
    case "object":
      return value === null ? "null" : writeObject(value, above);
    case "function":
    case "symbol":
      throw new TypeError(`A ${typeof value} cannot be part of a key.`);
  }
}

function writeObject(value: object, above: readonly object[]): string {
  if (above.includes(value)) throw new TypeError("A value that contains itself cannot be part of a key.");
  const inside = [...above, value];
  if (Array.isArray(value)) return `[${Array.from(value, (item) => write(item, inside)).join(",")}]`;
  if (value instanceof Date) return `D${value.getTime()}`;
  if (value instanceof Uint8Array) return `B${Buffer.from(value).toString("base64url")}`;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    throw new TypeError(`An instance of ${value.constructor.name} cannot be part of a key.`);
  }
  const properties = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${properties.map(([name, item]) => `${JSON.stringify(name)}:${write(item, inside)}`).join(",")}}`;
}

/**
 * Compiles a pattern of Redis' kind: `*` any characters, `?` one, `[abc]`, `[a-z]` and `[^a]` one of some, `\` makes the next one stand for itself.
 */
export function compileGlob(pattern: string): RegExp {
  const parts = pattern.match(/\\[\s\S]|\[\^?(?:\\[\s\S]|[^\]\\])*\]|[\s\S]/g) ?? [];
  return new RegExp(`^${parts.map(toExpression).join("")}$`, "s");
}

/** Makes a text stand for itself in a pattern. */
export function escapeGlob(text: string): string {
  return text.replace(/[\\*?[\]]/g, "\\$&");
}

function toExpression(part: string): string {
  if (part === "*") return ".*";
  if (part === "?") return ".";
  if (part.length > 1 && part.startsWith("[")) return toClass(part.slice(1, -1));
  return toLiteral(part);
}

function toClass(inside: string): string {
  const negated = inside.startsWith("^");
  const members = inside.slice(negated ? 1 : 0).matchAll(/(\\?[\s\S])-(\\?[\s\S])|(\\?[\s\S])/g);
  const ranges = Array.from(members, ([, from, to, one = ""]) => toRange(from ?? one, to ?? one));
  // An empty class matches nothing, and its negation everything, as in Redis.
  return `[${negated ? "^" : ""}${ranges.join("")}]`;
}

/** The ends of a range may stand in any order, as in Redis. */
function toRange(a: string, b: string): string {
  return [a.slice(-1), b.slice(-1)].sort().map(toLiteral).join("-");
}

/** A character, after a backslash or not, that stands for itself. */
function toLiteral(character: string): string {
  return `\\u${character.slice(-1).charCodeAt(0).toString(16).padStart(4, "0")}`;
}

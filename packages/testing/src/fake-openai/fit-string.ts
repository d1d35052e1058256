import { matchingText } from "./fit-pattern.ts";
import type { JsonSchema } from "./request.ts";
import type { SourceText } from "./source-text.ts";

const FORMATS: Readonly<Record<string, string>> = {
  "date-time": "2024-05-17T09:30:00Z",
  date: "2024-05-17",
  time: "09:30:00Z",
  duration: "P1D",
  email: "reader@example.org",
  hostname: "example.org",
  ipv4: "192.0.2.1",
  ipv6: "2001:db8::1",
  uuid: "6f1d9a52-0c3e-4b7a-9a51-2f60c4e1d8b3",
  uri: "https://example.org/",
};
const QUOTATION = /(?:^|[a-z_])quot(?:e|ation)s?$/i;
const ID = /^(?:id|ids|points)$/i;
const LABEL = /(?:^|_)(?:title|name|label|term|word|heading)s?$/i;
const LONG = /(?:^|_)(?:summary|text|paragraph|description|overview|answer|body)$/i;

/** A string for a property: a true quotation, an id, a title or plain sentences, by the property's name. */
export function fitString(
  schema: JsonSchema,
  place: { readonly name: string; readonly path: string },
  source: SourceText,
): string {
  const format = typeof schema["format"] === "string" ? FORMATS[schema["format"]] : undefined;
  if (format !== undefined) return format;
  const pattern = schema["pattern"];
  const words = chooseWords(place, source);
  if (typeof pattern === "string")
    return new RegExp(pattern, "u").test(words) ? words : matchingText(pattern);
  return fitLength(words, schema);
}

function chooseWords({ name, path }: { name: string; path: string }, source: SourceText): string {
  if (QUOTATION.test(name)) return source.nextQuotation();
  if (ID.test(name)) return source.nextIds(1)[0] ?? "1.1";
  if (LABEL.test(name)) return source.label(path);
  if (!LONG.test(name)) return source.sentence(path);
  return [1, 2, 3].map((part) => source.sentence(`${path} ${part}`)).join(" ");
}

function fitLength(words: string, schema: JsonSchema): string {
  const least = typeof schema["minLength"] === "number" ? schema["minLength"] : 0;
  const most = typeof schema["maxLength"] === "number" ? schema["maxLength"] : Number.POSITIVE_INFINITY;
  let fitted = words;
  while (fitted.length < least) fitted = `${fitted} ${words}`;
  return fitted.length > most ? fitted.slice(0, most).trimEnd().padEnd(least, ".") : fitted;
}

import type { Page } from "@mythic/runs";
import type { Answer } from "../send.ts";

/** A page of a list, with a link to the next one. */
export function listAnswer<Item, Wire>(
  page: Page<Item>,
  toWire: (item: Item) => Wire,
  { path, query }: { readonly path: string; readonly query: Readonly<Record<string, unknown>> },
): Answer {
  const { items, next } = page;
  const headers: Record<string, string> = { "cache-control": "private, no-cache" };
  if (next !== null) headers["link"] = `<${path}?${queryText({ ...query, after: next })}>; rel="next"`;
  return { status: 200, headers, json: { data: items.map(toWire), has_more: next !== null, next } };
}

function queryText(query: Readonly<Record<string, unknown>>): string {
  const text = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) text.set(name, String(value));
  return text.toString();
}

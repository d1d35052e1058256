import type { Page } from "../../store.ts";

/** A page of the first `limit` items, out of one more than that: the one that says whether there is a next page. */
export function pageOf<Item extends { readonly id: string }>(
  items: readonly Item[],
  limit: number,
): Page<Item> {
  const page = items.slice(0, limit);
  return { items: page, next: items.length > limit ? (page.at(-1)?.id ?? null) : null };
}

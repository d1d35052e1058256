/** What is stored: the same fields, the id under MongoDB's name. */
export type Stored<Item extends { readonly id: string }> = Omit<Item, "id"> & { readonly _id: string };

export function toStored<Item extends { readonly id: string }>({ id, ...fields }: Item): Stored<Item> {
  return { _id: id, ...fields };
}

/** Undoes `toStored`, before a document is parsed. */
export function fromStored(document: { readonly _id: string }): Record<string, unknown> {
  const { _id, ...fields } = document;
  return { ...fields, id: _id };
}

/** Cuts a list into pieces of at most `size`. */
export function pieces<Item>(items: readonly Item[], size: number): Item[][] {
  const cut: Item[][] = [];
  for (let at = 0; at < items.length; at += size) cut.push(items.slice(at, at + size));
  return cut;
}

/** A page of what was read with a limit of one more than asked for. */
export function pageOf<Item extends { readonly id: string }>(
  found: readonly Item[],
  limit: number,
): { readonly items: readonly Item[]; readonly next: string | null } {
  const items = found.slice(0, limit);
  return { items, next: found.length > limit ? (items.at(-1)?.id ?? null) : null };
}

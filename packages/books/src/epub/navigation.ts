import { cleanLine } from "../clean-text.ts";
import type { ParseLimits } from "../parse-limits.ts";
import { type Element, walkMarkup } from "./walk-markup.ts";

/** An entry of a table of contents, in its order, or a landmark. */
export interface NavigationEntry {
  readonly title: string;
  /** Relative to the document that holds the entry; null for a mere heading. */
  readonly href: string | null;
  /** 1 for the outermost. */
  readonly level: number;
  readonly types: readonly string[];
}

export interface Navigation {
  readonly toc: readonly NavigationEntry[];
  readonly landmarks: readonly NavigationEntry[];
}

interface OpenEntry {
  title: string;
  /** What stands for the title where there are only pictures. */
  substitute: string;
  href: string | null;
  readonly level: number;
  readonly types: readonly string[];
  readonly element: string;
}

/** Reads an EPUB 3 navigation document. Where no list is marked as the table of contents, it is the first unmarked one. */
export function readNavigationDocument(bytes: Buffer, limits: ParseLimits): Navigation {
  const lists: { readonly types: readonly string[]; readonly entries: NavigationEntry[] }[] = [];
  let level = 0;
  let isInside = false;
  let entry: OpenEntry | null = null;
  const count = { entries: 0 };
  const open = (element: Element) => {
    if (element.name === "nav") {
      isInside = true;
      level = 0;
      lists.push({ types: element.types, entries: [] });
    } else if (element.name === "ol") {
      level += 1;
    } else if (entry !== null) {
      entry.substitute ||= element.attribute("alt") ?? element.attribute("title") ?? "";
    } else if (isInside && (element.name === "a" || element.name === "span") && level > 0) {
      entry = startEntry(element, level);
    }
  };
  walkMarkup(
    bytes,
    { syntax: "html", depth: limits.depth },
    {
      open,
      text(text) {
        if (entry !== null) {
          entry.title += text;
        }
      },
      close(name) {
        if (name === "nav") {
          isInside = false;
        } else if (name === "ol") {
          level -= 1;
        } else if (name === entry?.element) {
          addEntry(lists.at(-1)?.entries, entry, count, limits);
          entry = null;
        }
      },
    },
  );
  const marked = (type: string) => lists.find(({ types }) => types.includes(type))?.entries;
  const unmarked = lists.find(({ types }) => types.length === 0)?.entries;
  return { toc: marked("toc") ?? unmarked ?? [], landmarks: marked("landmarks") ?? [] };
}

/** Reads the navigation map of an NCX. */
export function readNcx(bytes: Buffer, limits: ParseLimits): NavigationEntry[] {
  const entries: OpenEntry[] = [];
  let level = 0;
  let isInMap = false;
  let isInText = false;
  const open = (element: Element) => {
    const entry = entries.at(-1);
    if (element.name === "navmap") {
      isInMap = true;
    } else if (isInMap && element.name === "navpoint") {
      level += 1;
      if (entries.length < limits.tocEntries) {
        entries.push(startEntry(element, level));
      }
    } else if (element.name === "text") {
      isInText = isInMap;
    } else if (isInMap && element.name === "content" && entry !== undefined) {
      entry.href ??= element.attribute("src");
    }
  };
  walkMarkup(
    bytes,
    { syntax: "xml", depth: limits.depth },
    {
      open,
      text(text) {
        const entry = entries.at(-1);
        if (isInText && entry !== undefined) {
          entry.title += text;
        }
      },
      close(name) {
        if (name === "text") {
          isInText = false;
        } else if (name === "navpoint") {
          level -= 1;
        } else if (name === "navmap") {
          isInMap = false;
        }
      },
    },
  );
  return entries.map(finishEntry);
}

function startEntry(element: Element, level: number): OpenEntry {
  const href = element.name === "a" ? element.attribute("href") : null;
  const substitute = element.attribute("title") ?? "";
  return { title: "", substitute, href, level, types: element.types, element: element.name };
}

function addEntry(
  entries: NavigationEntry[] | undefined,
  entry: OpenEntry,
  count: { entries: number },
  limits: ParseLimits,
): void {
  count.entries += 1;
  if (count.entries <= limits.tocEntries) {
    entries?.push(finishEntry(entry));
  }
}

function finishEntry({ title, substitute, href, level, types }: OpenEntry): NavigationEntry {
  return { title: cleanLine(title) || cleanLine(substitute), href, level, types };
}

import type { ParseLimits } from "../parse-limits.ts";
import type { BookWarningCode } from "../parsed-file.ts";
import type { Archive } from "./archive.ts";
import { type NavigationEntry, readNavigationDocument, readNcx } from "./navigation.ts";
import type { PackageDocument } from "./package-document.ts";
import type { ContentFile } from "./reading-order.ts";
import { resolveHref, type Target } from "./resolve-href.ts";

/** An entry whose place in the archive is known. */
export interface TocEntry {
  readonly title: string;
  /** Null for a mere heading, and where the place is not in the reading order. */
  readonly target: Target | null;
  /** True where the table of contents names a place, found or not. */
  readonly isListed: boolean;
  readonly level: number;
}

/** What some place is for, said outside of it. */
interface Landmark {
  readonly target: Target;
  readonly types: readonly string[];
}

export interface TableOfContents {
  readonly entries: readonly TocEntry[];
  readonly landmarks: readonly Landmark[];
}

interface Source {
  readonly archive: Archive;
  readonly packageName: string;
  readonly book: PackageDocument;
  readonly files: readonly ContentFile[];
  readonly limits: ParseLimits;
}

/** The navigation document of EPUB 3 comes first; the NCX of EPUB 2 where the former is missing or leads nowhere. */
export async function readTableOfContents(
  source: Source,
  warnings: Set<BookWarningCode>,
): Promise<TableOfContents> {
  const { archive, packageName, book, limits } = source;
  const guide = book.guide.flatMap(({ type, href }): Landmark[] => {
    const target = resolveHref(archive, packageName, href);
    return target === null ? [] : [{ target, types: [type] }];
  });
  const found: TableOfContents[] = [];
  for (const { href, isNcx } of navigationItems(book)) {
    const name = resolveHref(archive, packageName, href)?.name;
    const bytes = name === undefined ? null : await archive.read(name);
    if (name === undefined || bytes === null) {
      continue;
    }
    const { toc, landmarks } = isNcx
      ? { toc: readNcx(bytes, limits), landmarks: [] }
      : readNavigationDocument(bytes, limits);
    const entries = resolveEntries(toc, name, source);
    found.push({ entries, landmarks: [...resolveLandmarks(landmarks, name, archive), ...guide] });
    if (entries.some(({ target }) => target !== null)) {
      break;
    }
  }
  const best =
    found.find(({ entries }) => entries.some(({ target }) => target !== null)) ??
    found.find(({ entries }) => entries.length > 0);
  const toc = best ?? { entries: [], landmarks: found[0]?.landmarks ?? guide };
  if (toc.entries.length === 0) {
    warnings.add("toc_missing");
  }
  if (toc.entries.some(({ target, isListed }) => isListed && target === null)) {
    warnings.add("toc_target_missing");
  }
  return toc;
}

function navigationItems(book: PackageDocument): { readonly href: string; readonly isNcx: boolean }[] {
  const items = [...book.manifest.values()];
  const documents = items.filter(({ properties }) => properties.includes("nav"));
  const named = book.ncx === null ? undefined : book.manifest.get(book.ncx);
  const ncx =
    named ??
    items.find(({ mediaType, href }) => mediaType === "application/x-dtbncx+xml" || /\.ncx$/i.test(href));
  return [
    ...documents.map(({ href }) => ({ href, isNcx: false })),
    ...(ncx === undefined ? [] : [{ href: ncx.href, isNcx: true }]),
  ];
}

function resolveEntries(toc: readonly NavigationEntry[], name: string, source: Source): TocEntry[] {
  const names = new Set(source.files.map((file) => file.name));
  return toc.map(({ title, href, level }) => {
    const target = href === null ? null : resolveHref(source.archive, name, href);
    const isInOrder = target !== null && names.has(target.name);
    return { title, target: isInOrder ? target : null, isListed: href !== null, level };
  });
}

function resolveLandmarks(entries: readonly NavigationEntry[], name: string, archive: Archive): Landmark[] {
  return entries.flatMap(({ href, types }) => {
    const target = href === null ? null : resolveHref(archive, name, href);
    return target === null ? [] : [{ target, types }];
  });
}

import { BookError } from "../book-error.ts";
import type { ParseLimits } from "../parse-limits.ts";
import type { BookWarningCode } from "../parsed-file.ts";
import type { Archive } from "./archive.ts";
import type { ManifestItem, PackageDocument, SpineItem } from "./package-document.ts";
import { resolveHref } from "./resolve-href.ts";

/** A file of the reading order. */
export interface ContentFile {
  readonly name: string;
  readonly isLinear: boolean;
  /** False for images and other things without words. */
  readonly hasMarkup: boolean;
}

const READABLE =
  /^(?:application\/(?:xhtml\+xml|x-dtbook\+xml|html)|text\/(?:html|x-oeb1-document)|image\/svg\+xml)$/;
const MARKUP = /^(?:application|text)\/(?:.+\+)?xml$/;

/** The files to read, in order, each once. Where an item cannot be read, its chain of fallbacks is followed. */
export function readingOrder(
  archive: Archive,
  packageName: string,
  book: PackageDocument,
  context: { readonly limits: ParseLimits; readonly warnings: Set<BookWarningCode> },
): ContentFile[] {
  const { limits, warnings } = context;
  const files = new Map<string, ContentFile>();
  for (const { id, isLinear } of spineOf(book, warnings)) {
    const item = book.manifest.get(id);
    const shown = item === undefined ? null : readableItem(item, book.manifest);
    const target = shown === null ? null : resolveHref(archive, packageName, shown.href);
    if (shown === null || target === null) {
      warnings.add("document_missing");
    } else if (!files.has(target.name)) {
      const hasMarkup = READABLE.test(shown.mediaType) || MARKUP.test(shown.mediaType);
      files.set(target.name, { name: target.name, isLinear, hasMarkup });
    }
    if (files.size > limits.documents) {
      throw new BookError("too_large", `The book has more than ${limits.documents} documents.`);
    }
  }
  return [...files.values()];
}

function spineOf(book: PackageDocument, warnings: Set<BookWarningCode>): readonly SpineItem[] {
  if (book.spine.some(({ id }) => book.manifest.has(id))) {
    return book.spine;
  }
  warnings.add("spine_missing");
  const documents = [...book.manifest.values()].filter(
    ({ mediaType, properties }) => READABLE.test(mediaType) && !properties.includes("nav"),
  );
  return documents.map(({ id }) => ({ id, isLinear: true }));
}

function readableItem(item: ManifestItem, manifest: ReadonlyMap<string, ManifestItem>): ManifestItem {
  const seen = new Set<ManifestItem>();
  let shown: ManifestItem | undefined = item;
  while (shown !== undefined && !READABLE.test(shown.mediaType) && !seen.has(shown)) {
    seen.add(shown);
    shown = shown.fallback === null ? undefined : manifest.get(shown.fallback);
  }
  return shown !== undefined && READABLE.test(shown.mediaType) ? shown : item;
}

import { mergeHeadings } from "../merge-headings.ts";
import { numberChapters } from "../number-chapters.ts";
import type { ParseLimits } from "../parse-limits.ts";
import type { BookWarningCode, ParsedFile } from "../parsed-file.ts";
import { type Archive, openArchive } from "./archive.ts";
import { findPackageDocument } from "./container.ts";
import { draftChapters, type EpubDraft } from "./draft-chapters.ts";
import {
  type BookDocument,
  type ChapterStart,
  outlineByHeadings,
  outlineByToc,
  unitsBetween,
} from "./outline.ts";
import { readPackageDocument } from "./package-document.ts";
import { refuseProtected } from "./protection.ts";
import { type DocumentText, readDocument } from "./read-document.ts";
import { type ContentFile, readingOrder } from "./reading-order.ts";
import { resolveHref } from "./resolve-href.ts";
import { readTableOfContents, type TableOfContents } from "./table-of-contents.ts";

/** Books shorter than this are cut as their table of contents says, however oddly. UTF-16 code units. */
const SMALLEST_JUDGED_BOOK = 100_000;
/** A chapter with more of the whole text than this share says that the table of contents is no help. */
const LARGEST_SHARE = 0.8;
/** Chapters below this size, about 200 words, are too short to be worth much by themselves. UTF-16 code units. */
const SHORT_CHAPTER = 1_200;
/** A table of contents of which more than this share leads to short chapters is too fine. */
const LARGEST_SHORT_SHARE = 0.4;

const NOTHING: DocumentText = {
  title: "",
  start: { paragraph: 0, types: [] },
  paragraphs: [],
  headings: [],
  places: new Map(),
  notes: [],
  references: [],
};

/** Reads an EPUB 2 or 3. */
export async function readEpub(file: string, limits: ParseLimits): Promise<ParsedFile> {
  const warnings = new Set<BookWarningCode>();
  await using archive = await openArchive(file, limits);
  await refuseProtected(archive, limits);
  const packageName = await findPackageDocument(archive, limits, warnings);
  const book = readPackageDocument((await archive.read(packageName)) ?? Buffer.alloc(0), limits);
  const files = readingOrder(archive, packageName, book, { limits, warnings });
  const toc = await readTableOfContents({ archive, packageName, book, files, limits }, warnings);
  const documents = await readDocuments(archive, files, toc, limits);
  if (hasLostPlace(documents, toc)) {
    warnings.add("toc_target_missing");
  }
  const starts = chooseOutline(documents, toc, warnings);
  const drafts = draftChapters(documents, starts, (document, href) => {
    const target = resolveHref(archive, document.name, href);
    return target?.fragment ? `${target.name}#${target.fragment}` : null;
  });
  const chapters = numberChapters(mergeHeadings(withoutBlankPages(drafts)), limits.chapterUnits, warnings);
  const { title, authors, language } = book;
  return { title, authors, language, warnings: [...warnings], chapters, tocEntries: toc.entries.length };
}

async function readDocuments(
  archive: Archive,
  files: readonly ContentFile[],
  toc: TableOfContents,
  limits: ParseLimits,
): Promise<BookDocument[]> {
  const ids = wantedIds(toc);
  const landmarkTypes = typesByFile(toc);
  const documents: BookDocument[] = [];
  const left = { units: limits.textUnits, paragraphs: limits.paragraphs };
  for (const { name, isLinear, hasMarkup } of files) {
    const bytes = hasMarkup ? await archive.read(name) : null;
    const text = bytes === null ? NOTHING : readDocument(bytes, ids.get(name) ?? new Set(), limits, left);
    documents.push({ ...text, name, isLinear, landmarkTypes: landmarkTypes.get(name) ?? [] });
    const notes = text.notes.map((note) => note.text);
    left.units -= [...text.paragraphs, ...notes].reduce((sum, { length }) => sum + length, 0);
    left.paragraphs -= text.paragraphs.length + notes.length + text.references.length;
  }
  return documents;
}

/** By file: where the table of contents leads to inside of it. */
function wantedIds(toc: TableOfContents): Map<string, Set<string>> {
  const ids = new Map<string, Set<string>>();
  for (const { target } of toc.entries) {
    if (target !== null && target.fragment !== null) {
      ids.set(target.name, (ids.get(target.name) ?? new Set()).add(target.fragment));
    }
  }
  return ids;
}

function typesByFile(toc: TableOfContents): Map<string, string[]> {
  const all = new Map<string, string[]>();
  for (const { target, types } of toc.landmarks) {
    if (target.fragment === null) {
      all.set(target.name, [...(all.get(target.name) ?? []), ...types]);
    }
  }
  return all;
}

/** True when the table of contents leads to an element that its document does not have. */
function hasLostPlace(documents: readonly BookDocument[], toc: TableOfContents): boolean {
  const places = new Map(documents.map((document) => [document.name, document.places]));
  return toc.entries.some(({ target }) => {
    const fragment = target?.fragment ?? null;
    return target !== null && fragment !== null && places.get(target.name)?.has(fragment) === false;
  });
}

function chooseOutline(
  documents: readonly BookDocument[],
  toc: TableOfContents,
  warnings: Set<BookWarningCode>,
): ChapterStart[] {
  if (!toc.entries.some(({ target }) => target !== null)) {
    return outlineByHeadings(documents);
  }
  const depths = toc.entries.reduce((deepest, { level }) => Math.max(deepest, level), 1);
  let depth = depths;
  let starts = outlineByToc(documents, toc.entries, depth);
  const total = documents.reduce((sum, document) => sum + unitsBetween(document, 0), 0);
  if (total < SMALLEST_JUDGED_BOOK) {
    return starts;
  }
  while (depth > 1 && shortShare(documents, starts) > LARGEST_SHORT_SHARE) {
    depth -= 1;
    starts = outlineByToc(documents, toc.entries, depth);
    warnings.add("toc_too_fine");
  }
  if (largestShare(documents, starts) > LARGEST_SHARE) {
    const byHeadings = outlineByHeadings(documents);
    if (largestShare(documents, byHeadings) <= LARGEST_SHARE) {
      warnings.add("toc_too_coarse");
      return byHeadings;
    }
  }
  return starts;
}

function chapterUnits(documents: readonly BookDocument[], starts: readonly ChapterStart[]): number[] {
  return draftChapters(documents, starts, () => null).map(({ paragraphs }) =>
    paragraphs.reduce((sum, { length }) => sum + length, 0),
  );
}

function largestShare(documents: readonly BookDocument[], starts: readonly ChapterStart[]): number {
  const units = chapterUnits(documents, starts);
  const total = units.reduce((sum, size) => sum + size, 0);
  return units.reduce((most, size) => Math.max(most, size), 0) / Math.max(1, total);
}

function shortShare(documents: readonly BookDocument[], starts: readonly ChapterStart[]): number {
  const units = chapterUnits(documents, starts);
  return units.filter((size) => size < SHORT_CHAPTER).length / Math.max(1, units.length);
}

/** Pages without words that the book does not list are pictures. They count only where there is nothing else. */
function withoutBlankPages(drafts: readonly EpubDraft[]): EpubDraft[] {
  const shown = drafts.filter(
    ({ isListed, paragraphs, notes }) => isListed || paragraphs.length > 0 || notes.length > 0,
  );
  return shown.length > 0 ? shown : [...drafts];
}

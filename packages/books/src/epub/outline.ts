import { kindOfTypes } from "../chapter-kind.ts";
import type { DocumentText, Place } from "./read-document.ts";
import type { TocEntry } from "./table-of-contents.ts";

/** A content document of the reading order, read. */
export interface BookDocument extends DocumentText {
  readonly name: string;
  readonly isLinear: boolean;
  /** What guide and landmarks say that the whole document is for. */
  readonly landmarkTypes: readonly string[];
}

/** Where a chapter begins. It ends where the next one begins. */
export interface ChapterStart extends Place {
  /** Index of the document. */
  readonly document: number;
  readonly title: string;
  readonly path: readonly string[];
  /** False where the book itself does not list this chapter. */
  readonly isListed: boolean;
}

/** Text before a document's first listed place belongs to that place when it is shorter: running heads, ornaments. Units. */
const LONGEST_LEAD = 300;
/** Chapters made of headings are not shorter than this on average, where the book's headings allow. Units. */
const SHORTEST_USUAL_CHAPTER = 2_000;

/** Chapters as the table of contents lists them, down to `depth` levels, and those of documents that it does not cover. */
export function outlineByToc(
  documents: readonly BookDocument[],
  entries: readonly TocEntry[],
  depth: number,
): ChapterStart[] {
  const indexes = new Map(documents.map(({ name }, index) => [name, index]));
  const path: string[] = [];
  const starts: ChapterStart[] = [];
  for (const { title, target, level } of entries) {
    path.length = Math.min(path.length, level - 1);
    const index = target === null ? undefined : indexes.get(target.name);
    const document = index === undefined ? undefined : documents[index];
    const place = document?.places.get(target?.fragment ?? "") ?? document?.start;
    const shownTitle = title || titleAt(document, place);
    if (shownTitle !== "") {
      path.push(shownTitle);
    }
    if (index !== undefined && place !== undefined && level <= depth && shownTitle !== "") {
      starts.push({ ...place, document: index, title: shownTitle, path: [...path], isListed: true });
    }
  }
  return coverDocuments(documents, pullToDocumentStart(documents, onePerPlace(starts)));
}

/** Chapters as the headings divide the book; where there are none, each document is a chapter. */
export function outlineByHeadings(documents: readonly BookDocument[]): ChapterStart[] {
  const units = documents.reduce((sum, document) => sum + unitsBetween(document, 0), 0);
  const levels = documents.flatMap(({ headings }) => headings.map(({ level }) => level));
  const deepest = deepestUsefulLevel(levels, units);
  const path: { level: number; title: string }[] = [];
  const starts = documents.flatMap((document, index) =>
    document.headings
      .filter(({ level }) => level <= deepest)
      .map(({ title, level, paragraph }): ChapterStart => {
        while ((path.at(-1)?.level ?? 0) >= level) {
          path.pop();
        }
        path.push({ level, title });
        const types = paragraph === 0 ? document.start.types : [];
        const titles = path.map((step) => step.title);
        return { document: index, paragraph, types, title, path: titles, isListed: true };
      }),
  );
  return coverDocuments(documents, pullToDocumentStart(documents, onePerPlace(starts)));
}

/** UTF-16 code units of some of a document's paragraphs. */
export function unitsBetween(document: BookDocument, from: number, to = document.paragraphs.length): number {
  let units = 0;
  for (let index = from; index < to; index += 1) {
    units += document.paragraphs[index]?.length ?? 0;
  }
  return units;
}

function titleAt(document: BookDocument | undefined, place: Place | undefined): string {
  return document?.headings.find(({ paragraph }) => paragraph === place?.paragraph)?.title ?? "";
}

function deepestUsefulLevel(levels: readonly number[], units: number): number {
  const shallowest = levels.reduce((least, level) => Math.min(least, level), 6);
  const useful = [1, 2, 3].filter((deepest) => {
    const count = levels.filter((level) => level <= deepest).length;
    return count > 0 && units / count >= SHORTEST_USUAL_CHAPTER;
  });
  return useful.at(-1) ?? shallowest;
}

/** In reading order. Of several at one place the innermost counts, and among equals the first. */
function onePerPlace(starts: readonly ChapterStart[]): ChapterStart[] {
  const ordered = starts.toSorted((a, b) => a.document - b.document || a.paragraph - b.paragraph);
  const kept: ChapterStart[] = [];
  for (const start of ordered) {
    const last = kept.at(-1);
    if (last === undefined || last.document !== start.document || last.paragraph !== start.paragraph) {
      kept.push(start);
    } else if (start.path.length > last.path.length) {
      kept[kept.length - 1] = start;
    }
  }
  return kept;
}

function pullToDocumentStart(
  documents: readonly BookDocument[],
  starts: readonly ChapterStart[],
): ChapterStart[] {
  return starts.map((start, index) => {
    const document = documents[start.document];
    const isFirst = starts[index - 1]?.document !== start.document;
    if (document === undefined || !isFirst || start.paragraph === 0) {
      return start;
    }
    const kind = kindOfTypes(document.start.types);
    const isSameKind = kind === null || kind === kindOfTypes(start.types);
    const isLead = unitsBetween(document, 0, start.paragraph) <= LONGEST_LEAD;
    return isSameKind && isLead ? { ...start, paragraph: 0 } : start;
  });
}

/**
 * A document that is not listed continues the chapter before it, unless there is none, or it is another kind of matter, or it
 * stands outside of the reading order.
 */
function coverDocuments(documents: readonly BookDocument[], starts: readonly ChapterStart[]): ChapterStart[] {
  const covered: ChapterStart[] = [];
  let next = 0;
  for (const [index, document] of documents.entries()) {
    const first = starts[next];
    const isListed = first?.document === index && first.paragraph === 0;
    if (!isListed && !continues(documents, index, covered.at(-1))) {
      covered.push(startOfDocument(document, index));
    }
    while (starts[next]?.document === index) {
      covered.push(...starts.slice(next, next + 1));
      next += 1;
    }
  }
  return covered;
}

function continues(
  documents: readonly BookDocument[],
  index: number,
  last: ChapterStart | undefined,
): boolean {
  const document = documents[index];
  const before = documents[index - 1];
  if (last === undefined || document?.isLinear !== true || before?.isLinear === false || !last.isListed) {
    return false;
  }
  const types = [...document.start.types, ...document.landmarkTypes];
  const lastTypes = [...last.types, ...(documents[last.document]?.landmarkTypes ?? [])];
  const kind = kindOfTypes(types);
  return kind === null || kind === (kindOfTypes(lastTypes) ?? "body");
}

function startOfDocument(document: BookDocument, index: number): ChapterStart {
  const firstLine = document.paragraphs[0]?.split("\n")[0] ?? "";
  const title = document.headings[0]?.title || document.title || shorten(firstLine) || `Section ${index + 1}`;
  const types = document.start.types;
  return { document: index, paragraph: 0, types, title, path: [title], isListed: false };
}

function shorten(line: string): string {
  return line.length <= 60 ? line : `${line.slice(0, 60).replace(/\s\S*$/u, "")}…`;
}

import type { ChapterDraft } from "./number-chapters.ts";

/** A part's page: its title, a motto, a line or two. UTF-16 code units. */
const LONGEST_PART_PAGE = 600;

const PART_WORDS =
  "part|book|volume|partie|livre|tome|teil|buch|band|parte|libro|tomo|часть|книга|том|раздел|księga|tom|deel|boek";
const ORDINALS = "first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|last";
const PART_TITLE = new RegExp(
  `^(?:(?:${PART_WORDS})(?![\\p{L}\\d])|(?:the )?(?:${ORDINALS}) (?:part|book|volume)(?!\\p{L})|` +
    "第[一二三四五六七八九十百\\d]{1,5}[部卷编編])",
  "iu",
);

/**
 * Gives the page of a part to the part's first chapter, so that no chapter consists of a part's heading alone. Where parts are
 * listed beside their chapters instead of above them, the chapters' paths get the part's title first.
 */
export function mergeHeadings<Draft extends ChapterDraft>(drafts: readonly Draft[]): Draft[] {
  const merged: Draft[] = [];
  let page: Draft | null = null;
  for (const draft of nestUnderParts(drafts)) {
    const isInPart = page !== null && page.kind === draft.kind && isBelow(draft.path, page.path);
    if (page !== null && !isInPart) {
      merged.push(page);
    }
    const whole: Draft = page !== null && isInPart ? joinDrafts(page, draft) : draft;
    page = isPage(whole) ? whole : null;
    if (page === null) {
      merged.push(whole);
    }
  }
  return page === null ? merged : [...merged, page];
}

function nestUnderParts<Draft extends ChapterDraft>(drafts: readonly Draft[]): Draft[] {
  let part: Draft | null = null;
  return drafts.map((draft, index) => {
    if (isPartBesideChapters(draft, drafts[index + 1])) {
      part = draft;
      return draft;
    }
    if (part === null || draft.kind !== "body" || !isBelow(draft.path, part.path.slice(0, -1))) {
      part = null;
      return draft;
    }
    return { ...draft, path: [...part.path, ...draft.path.slice(part.path.length - 1)] };
  });
}

function isPartBesideChapters(draft: ChapterDraft, next: ChapterDraft | undefined): boolean {
  const isPart = draft.kind === "body" && PART_TITLE.test(draft.title) && isPage(draft);
  return isPart && next?.kind === "body" && next.path.length === draft.path.length;
}

function isBelow(path: readonly string[], outer: readonly string[]): boolean {
  return path.length > outer.length && outer.every((title, level) => title === path[level]);
}

function isPage(draft: ChapterDraft): boolean {
  return draft.paragraphs.reduce((sum, { length }) => sum + length, 0) <= LONGEST_PART_PAGE;
}

function joinDrafts<Draft extends ChapterDraft>(page: Draft, chapter: Draft): Draft {
  return {
    ...chapter,
    paragraphs: [...page.paragraphs, ...chapter.paragraphs],
    notes: [...page.notes, ...chapter.notes],
  };
}

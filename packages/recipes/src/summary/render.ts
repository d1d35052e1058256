import { blockquote, escapeMarkdown, heading } from "../markdown.ts";
import type { RenderTask } from "../recipe.ts";
import { type Coverage, type KeyPoint, type Passage, readPassages, readSummary } from "./values.ts";

type Chapter = RenderTask["chapters"][number];

/** Chapters stand below "Chapter by chapter", which is of level 2. */
const OUTERMOST_LEVEL = 3;

/** Overview, key points and chapters, as far as they are there. What is missing is named. */
export function renderSummary(task: RenderTask): { fileName: string; markdown: string } {
  const whole = task.whole === null ? null : readSummary(task.whole, "the whole book");
  const titles = titlesById(task);
  const chapters = renderChapters(task, (chapter) => {
    const value = readSummary(chapter.value, `chapter ${chapter.id}`);
    return {
      blocks: [
        ...proseBlocks(value.paragraph),
        ...noteBlocks(value.note),
        ...value.keyPoints.map((point) => renderPoint(point, null)),
      ],
      dropped: value.droppedPoints,
    };
  });
  const overview =
    whole === null
      ? ["*There is no overview yet.*"]
      : [
          ...proseBlocks(whole.paragraph),
          ...noteBlocks(whole.note),
          ...coverageBlocks(whole.kind === "merge" ? whole.coverage : null),
        ];
  const points = (whole?.keyPoints ?? []).map((point) => renderPoint(point, titles));
  const blocks = [
    heading(1, `Summary: ${bookTitle(task)}`),
    ...authorBlocks(task),
    "## Overview",
    ...overview,
    ...(points.length === 0 ? [] : ["## Key points", ...points]),
    ...chapters.blocks,
    ...droppedBlocks(chapters.dropped),
  ];
  return { fileName: "summary.md", markdown: `${blocks.join("\n\n")}\n` };
}

/** The passages chosen without a model, named for what they are. */
export function renderKeyPassages(task: RenderTask): { fileName: string; markdown: string } {
  const whole = task.whole === null ? null : readPassages(task.whole, "the whole book");
  const titles = titlesById(task);
  const chapters = renderChapters(task, (chapter) => {
    const value = readPassages(chapter.value, `chapter ${chapter.id}`);
    return {
      blocks: [...noteBlocks(value.note), ...value.passages.map((passage) => renderPassage(passage, null))],
      dropped: 0,
    };
  });
  const across = (whole?.passages ?? []).map((passage) => renderPassage(passage, titles));
  const blocks = [
    heading(1, `Key passages: ${bookTitle(task)}`),
    ...authorBlocks(task),
    "*Key passages (extractive, no AI): sentences of the book itself, chosen by counting words, with a share for every section.*",
    "## From the whole book",
    ...(across.length === 0 ? ["*There are no passages from the whole book yet.*"] : across),
    ...chapters.blocks,
  ];
  return { fileName: "key-passages.md", markdown: `${blocks.join("\n\n")}\n` };
}

interface Rendered {
  readonly blocks: readonly string[];
  readonly dropped: number;
}

function renderChapters(task: RenderTask, renderChapter: (chapter: Chapter) => Rendered): Rendered {
  const blocks: string[] = ["## Chapter by chapter"];
  let dropped = 0;
  let previous: readonly string[] = [];
  for (const chapter of task.chapters) {
    const path = chapter.path.length === 0 ? [chapter.title] : chapter.path;
    blocks.push(...headingsFor(path, previous));
    previous = path;
    if (chapter.value === null || chapter.value === undefined) {
      blocks.push("*Missing: there is no result for this chapter.*");
    } else {
      const rendered = renderChapter(chapter);
      blocks.push(...rendered.blocks);
      dropped += rendered.dropped;
    }
  }
  return { blocks, dropped };
}

/** The headings of a path that the chapter before did not stand under already; the chapter's own always. */
function headingsFor(path: readonly string[], previous: readonly string[]): string[] {
  let shared = 0;
  while (shared < path.length - 1 && path[shared] === previous[shared]) {
    shared += 1;
  }
  return path.slice(shared).map((title, index) => heading(OUTERMOST_LEVEL + shared + index, title));
}

function renderPoint({ statement, evidence }: KeyPoint, titles: ReadonlyMap<string, string> | null): string {
  return `- ${escapeMarkdown(statement)}\n\n${blockquote(evidence.quote, sourceOf(evidence, titles), "  ")}`;
}

function renderPassage({ evidence }: Passage, titles: ReadonlyMap<string, string> | null): string {
  return blockquote(evidence.quote, sourceOf(evidence, titles));
}

function sourceOf(
  { chapterId }: KeyPoint["evidence"],
  titles: ReadonlyMap<string, string> | null,
): string | null {
  return titles === null ? null : (titles.get(chapterId) ?? "a chapter that is not listed");
}

function titlesById(task: RenderTask): Map<string, string> {
  return new Map(
    task.chapters.map(({ id, title, path }) => [id, path.length === 0 ? title : path.join(" › ")]),
  );
}

function bookTitle({ book }: RenderTask): string {
  return book.title ?? "a book without title";
}

function authorBlocks({ book }: RenderTask): string[] {
  return book.authors.length === 0 ? [] : [`By ${escapeMarkdown(book.authors.join(", "))}`];
}

function proseBlocks(prose: string): string[] {
  return prose
    .split(/\n\s*\n/u)
    .map(escapeMarkdown)
    .filter((paragraph) => paragraph !== "");
}

function noteBlocks(note: string | null): string[] {
  return note === null ? [] : [`*${escapeMarkdown(note)}*`];
}

function coverageBlocks(coverage: Coverage | null): string[] {
  return coverage === null || coverage.chapters === 0
    ? []
    : [`*The key points come from ${coverage.represented} of ${coverage.chapters} chapters.*`];
}

function droppedBlocks(dropped: number): string[] {
  return dropped === 0
    ? []
    : [
        "---",
        `*${dropped === 1 ? "1 statement was" : `${dropped} statements were`} left out, because no quotation in the book showed ${dropped === 1 ? "it" : "them"}.*`,
      ];
}

import { describe, expect, test } from "@jest/globals";
import { findRecipe } from "../../src/index.ts";
import type { RenderTask } from "../../src/recipe.ts";
import type { ChapterSummary, MergedSummary } from "../../src/summary/values.ts";
import { BOOK } from "../scripted-ask.ts";

function pointOf(statement: string, quote: string, chapterId = "c1") {
  return { statement, evidence: { chapterId, start: 0, end: quote.length, quote } };
}

function chapterValue(paragraph: string, ...keyPoints: ChapterSummary["keyPoints"]): ChapterSummary {
  return { kind: "chapter", method: "model", paragraph, keyPoints, droppedPoints: 1, parts: 1, note: null };
}

const WHOLE: MergedSummary = {
  kind: "merge",
  method: "model",
  paragraph: "Ada leaves.\n\nShe returns.",
  keyPoints: [pointOf("Ada leaves.", "The ferry left at dawn.", "c2")],
  droppedPoints: 0,
  coverage: { chapters: 3, represented: 1 },
  note: null,
};

const TASK: RenderTask = {
  book: BOOK,
  chapters: [
    {
      id: "c1",
      title: "Dawn",
      path: ["Part one", "Dawn"],
      value: chapterValue("It dawns.", pointOf("Light.", "And there was light.")),
    },
    { id: "c2", title: "Noon", path: ["Part one", "Noon"], value: null },
    { id: "c3", title: "Night", path: ["Part two", "Night"], value: chapterValue("It darkens.") },
  ],
  whole: WHOLE,
  method: "model",
};

function render(task: RenderTask) {
  const file = findRecipe("summary")?.render(task);
  if (file === undefined) {
    throw new Error("no summary recipe");
  }
  return file;
}

describe("a rendered summary", () => {
  test("holds title, overview, key points with their chapters, then every chapter below its part", () => {
    const { fileName, markdown } = render(TASK);
    expect(fileName).toBe("summary.md");
    expect(markdown.split("\n").filter((line) => line.startsWith("#"))).toEqual([
      "# Summary: The Ferry",
      "## Overview",
      "## Key points",
      "## Chapter by chapter",
      "### Part one",
      "#### Dawn",
      "#### Noon",
      "### Part two",
      "#### Night",
    ]);
    expect(markdown).toContain("By Ada Brook");
    expect(markdown).toContain("Ada leaves.\n\nShe returns.");
    expect(markdown).toContain("1 of 3 chapters");
    expect(markdown).toContain("- Ada leaves.\n\n  > The ferry left at dawn.\n  >\n  > — Part one › Noon\n");
    expect(markdown).toContain("#### Dawn\n\nIt dawns.\n\n- Light.\n\n  > And there was light.\n");
    expect(markdown).toContain("2 statements were left out");
  });

  test("names a chapter without result as missing, and an overview that is not there yet", () => {
    const { markdown } = render({ ...TASK, whole: null });
    expect(markdown).toContain("#### Noon\n\n*Missing: there is no result for this chapter.*");
    expect(markdown).toContain("## Overview\n\n*There is no overview yet.*");
    expect(markdown).not.toContain("## Key points");
  });

  test("lets neither the book nor the model make markup", () => {
    const hostile =
      "<img src=x onerror=alert(1)>\n# Heading\n\n[click](http://evil.example) https://evil.example\n- item";
    const { markdown } = render({
      ...TASK,
      book: { title: hostile, authors: [hostile], language: "en" },
      chapters: [
        {
          id: "c1",
          title: hostile,
          path: [hostile, hostile],
          value: chapterValue(hostile, pointOf(hostile, hostile)),
        },
      ],
      whole: { ...WHOLE, paragraph: hostile, note: hostile, keyPoints: [pointOf(hostile, hostile)] },
    });
    const headings = markdown.split("\n").filter((line) => /^\s*(> )?#/.test(line));
    expect(headings).toHaveLength(6);
    expect(markdown).not.toMatch(/<(?!http)/);
    expect(markdown).not.toMatch(/(?<!\\)\[/);
    expect(markdown).not.toContain("http://");
    expect(markdown).not.toContain("https://");
    expect(markdown.split("\n").filter((line) => /^\s*- item/.test(line))).toEqual([]);
  });

  test("keeps deep paths at the deepest heading, and a book without title and chapters renders too", () => {
    const path = ["1", "2", "3", "4", "5", "6"].map((part) => `Level ${part}`);
    const { markdown } = render({ ...TASK, chapters: [{ id: "c1", title: "x", path, value: null }] });
    expect(markdown).toContain("\n###### Level 6\n");
    const empty = render({
      ...TASK,
      book: { title: null, authors: [], language: null },
      chapters: [],
      whole: null,
    });
    expect(empty.markdown).toContain("# Summary: a book without title");
  });

  test("refuses stored values of an unknown shape and names the place", () => {
    expect(() => render({ ...TASK, whole: { paragraph: "x" } })).toThrow("the whole book");
    const chapters = [{ id: "c7", title: "x", path: [], value: { kind: "chapter" } }];
    expect(() => render({ ...TASK, chapters })).toThrow("chapter c7");
  });
});

describe("rendered key passages", () => {
  const evidence = { chapterId: "c1", start: 0, end: 20, quote: "And there was *light*." };
  const task: RenderTask = {
    book: BOOK,
    chapters: [
      {
        id: "c1",
        title: "Dawn",
        path: [],
        value: { kind: "chapter", method: "offline", passages: [{ evidence }], note: null },
      },
      { id: "c2", title: "Noon", path: [], value: null },
    ],
    whole: {
      kind: "merge",
      method: "offline",
      passages: [{ evidence }],
      coverage: { chapters: 2, represented: 1 },
      note: null,
    },
    method: "offline",
  };

  test("are named for what they are, never a summary", () => {
    const { fileName, markdown } = render(task);
    expect(fileName).toBe("key-passages.md");
    expect(markdown).toContain("# Key passages: The Ferry");
    expect(markdown).toContain("Key passages (extractive, no AI)");
    expect(markdown.toLowerCase()).not.toContain("summar");
    expect(markdown).toContain("> And there was \\*light\\*.\n>\n> — Dawn");
    expect(markdown).toContain("### Noon\n\n*Missing: there is no result for this chapter.*");
  });

  test("say so while there are none of the whole book", () => {
    expect(render({ ...task, whole: null }).markdown).toContain(
      "*There are no passages from the whole book yet.*",
    );
  });
});

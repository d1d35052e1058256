import type { MergeTask, Recipe } from "../recipe.ts";
import { forecastChapter, forecastMerge } from "./forecast.ts";
import { findKeyPassages, mergeKeyPassages } from "./key-passages.ts";
import { mergeSummaries } from "./merge-summaries.ts";
import { renderKeyPassages, renderSummary } from "./render.ts";
import { summariseChapter } from "./summarise-chapter.ts";
import { readPassages, readSummary } from "./values.ts";

/**
 * A summary of every chapter and of the whole book, each with key points that a verbatim quotation shows. Without a model: key
 * passages instead, which are never called a summary.
 */
export const summary: Recipe = {
  name: "summary",
  version: 1,
  chapter: async (task) =>
    task.ask === null ? findKeyPassages(task) : await summariseChapter(task, task.ask),
  merge: async (task) => await mergeChildren(task),
  render: (task) => (task.method === "offline" ? renderKeyPassages(task) : renderSummary(task)),
  forecastChapter,
  forecastMerge,
};

async function mergeChildren(task: MergeTask): Promise<unknown> {
  const { book, title, whole, ask } = task;
  if (ask === null) {
    const children = task.children.map((child) => readPassages(child.value, child.title));
    return mergeKeyPassages(children, { whole, language: book.language });
  }
  const children = task.children.map((child) => ({
    title: child.title,
    value: readSummary(child.value, child.title),
  }));
  return await mergeSummaries({ book, title, whole }, children, ask);
}

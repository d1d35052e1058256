export { findRecipe, RECIPE_NAMES } from "./find-recipe.ts";
export {
  createQuotationIndex,
  locateQuotation,
  type QuotationFinding,
  type QuotationIndex,
  type Span,
} from "./quotation.ts";
export type {
  Ask,
  BookFacts,
  ChapterTask,
  ChapterText,
  Evidence,
  Forecast,
  MergeTask,
  Method,
  Question,
  Recipe,
  RenderTask,
} from "./recipe.ts";
export { RecipeError, type RecipeErrorCode } from "./recipe-error.ts";
export { toStrictJsonSchema } from "./strict-json-schema.ts";
export { LIMITS as SUMMARY_LIMITS } from "./summary/limits.ts";
export type {
  ChapterPassages,
  ChapterSummary,
  MergedPassages,
  MergedSummary,
} from "./summary/values.ts";

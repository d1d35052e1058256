import { ANSWER_ROUTES } from "./answers.ts";
import { BOOK_ROUTES } from "./books.ts";
import { CACHE_ROUTES } from "./cache.ts";
import { DOCS_ROUTES } from "./docs.ts";
import { HEALTH_ROUTES } from "./health.ts";
import { METRICS_ROUTES } from "./metrics.ts";
import { RESULT_ROUTES } from "./results.ts";
import type { Route } from "./route.ts";
import { RUN_ROUTES } from "./runs.ts";
import { STATUS_ROUTES } from "./status.ts";
import { USAGE_ROUTES } from "./usage.ts";

/** Every route but Bull Board's, in the order in which they are tried. */
export const ROUTES: readonly Route[] = [
  ...STATUS_ROUTES,
  ...BOOK_ROUTES,
  ...RUN_ROUTES,
  ...RESULT_ROUTES,
  ...HEALTH_ROUTES,
  ...USAGE_ROUTES,
  ...ANSWER_ROUTES,
  ...CACHE_ROUTES,
  ...METRICS_ROUTES,
  ...DOCS_ROUTES,
];

export { Advancer, parseStep } from "./advancer.ts";
export type {
  Book,
  BookFormat,
  BookStatus,
  Chapter,
  ChapterKind,
  ChapterOutline,
  Failure,
  ParsedBook,
  ParseResult,
} from "./book.ts";
export { cancelRun } from "./cancel-run.ts";
export { deleteBook } from "./delete-book.ts";
export { Dispatcher, type DispatcherOptions } from "./dispatcher.ts";
export { type IdPrefix, isId, newId } from "./ids.ts";
export type { Erasure, LedgerRow } from "./ledger.ts";
export { chaptersToProcess, planRun, ROOT_UNIT } from "./plan-run.ts";
export {
  type ChapterPage,
  type ChapterResult,
  type Coverage,
  type RecipeResult,
  type RunReport,
  readResult,
} from "./read-result.ts";
export { retryRun } from "./retry-run.ts";
export {
  isTerminal,
  LIVE_RUN_STATUSES,
  type Run,
  type RunCounts,
  type RunFailure,
  type RunOptions,
  type RunStage,
  type RunStatus,
  type RunUsage,
  TERMINAL_RUN_STATUSES,
} from "./run.ts";
export {
  hasEnded,
  type NewStep,
  retryDelayMs,
  STEP_POLICY,
  type Step,
  type StepKind,
  type StepPolicy,
} from "./step.ts";
export {
  type ApiKey,
  type Page,
  type Reply,
  type Role,
  type Store,
  StoreUnavailableError,
} from "./store.ts";
export { type Submission, submitBook } from "./submit-book.ts";
export { queuedRun, type RunRequest, submitRun } from "./submit-run.ts";
export { type Amount, type DailyUsage, type DayRange, dayOf, sumUsage, type Usage } from "./usage.ts";
export type { Listener, WakeUp, WakeUpHandler, WakeUpOutcome, WakeUps } from "./wake-ups.ts";

export { createModel, type ModelOptions } from "./create-model.ts";
export { canonicalJson, digestOf } from "./digest.ts";
export type { AnswerQuery, Ledger, LedgerOpening, LedgerSettlement, PastAnswer } from "./ledger.ts";
export type { Asker, Conversation, Model, Question } from "./model.ts";
export { MODEL_ERROR_CODES, ModelError, type ModelErrorCode } from "./model-error.ts";
export { estimateCost, type Price, priceOf } from "./prices.ts";
export { estimateTokens } from "./tokens.ts";

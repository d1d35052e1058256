export type { Completed } from "./answers/answer.ts";
export type { Answers, StreamEvent } from "./answers/answers.ts";
export type { Caller as AnswerCaller } from "./answers/caller.ts";
export { type AnswerPolicy, endpointPolicy, PolicyError, type ReadableHeaders } from "./answers/policy.ts";
export { readText } from "./answers/read-answer.ts";
export { createSealer, isEncryptionKey, type Sealer } from "./answers/sealing.ts";
export type {
  Amount,
  AnswerQuery,
  Ledger,
  LedgerOpening,
  LedgerSettlement,
  PastAnswer,
  Saved,
  TokenPrice,
} from "./ledger.ts";
export type { Asker, Conversation, Model, Question } from "./model.ts";
export { MODEL_ERROR_CODES, ModelError, type ModelErrorCode } from "./model-error.ts";
export { type AnswersOptions, type OpenAnswers, openAnswers } from "./open-answers.ts";
export { type AnswersPlace, openConfiguredAnswers } from "./open-configured.ts";
export { canonicalJson, digestOf } from "./request/canonical-json.ts";
export type { ChatRequest } from "./request/chat-request.ts";
export { estimateTokens } from "./request/tokens.ts";
export { type AnswersConfig, answerSettings, answersConfigOf } from "./settings.ts";
export { createStepModel } from "./step-model.ts";
export { ConfigurationError } from "./upstream/json-setting.ts";
export { estimateCost, type Price, type PriceOf, priceOf, readPrices } from "./upstream/prices.ts";
export { readUpstreams, Upstream, Upstreams } from "./upstream/upstreams.ts";

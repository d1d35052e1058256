/** Every way in which no answer comes, and whether the same question may be asked again later. */
const RETRYABLE = {
  /** 429. When the account's means are used up instead of its rate, a retry does not help. */
  model_rate_limited: true,
  /** Not asked: the model is cooling down after a 429, or a limit of ours lets no call through now. */
  model_busy: true,
  /** Not asked: somebody else is asking the same, and the caller would rather come back. */
  answer_in_flight: true,
  /** Not asked, as the caller wanted. */
  answer_not_cached: false,
  /** No upstream has this model. */
  model_unknown: false,
  /** 5xx, or no connection. */
  model_unavailable: true,
  model_timeout: true,
  /** The model declined to answer. */
  model_refused: false,
  /** The answer ended at the limit of tokens, or for another reason than its end. */
  model_truncated: true,
  model_empty: true,
  /** The endpoint's filter kept the answer back. */
  model_filtered: false,
  /** No JSON, or JSON that does not fit the schema. */
  model_invalid_answer: true,
  /** The endpoint does not take the request: 400, 404, 422. */
  model_rejected_request: false,
  /** 401 and 403. */
  model_unauthorised: false,
  /** The text is too long for the model. */
  model_context_exceeded: false,
  /** The run may not spend more. */
  max_cost_reached: false,
  /** Stopped by the caller: a cancelled run, a lost lease, a deploy. */
  model_aborted: true,
} as const satisfies Record<string, boolean>;

export type ModelErrorCode = keyof typeof RETRYABLE;

export const MODEL_ERROR_CODES: readonly ModelErrorCode[] = Object.freeze(
  Object.keys(RETRYABLE).filter((code): code is ModelErrorCode => Object.hasOwn(RETRYABLE, code)),
);

export interface ModelErrorOptions extends ErrorOptions {
  /** Instead of what the code says. */
  readonly retryable?: boolean;
  readonly retryAfterMs?: number | null;
  readonly status?: number | null;
  /** Resolves when it is worth asking again before that. */
  readonly sooner?: ((signal: AbortSignal) => Promise<void>) | null;
}

/** Nothing went wrong: what a call needs is not there now. Asking again later is no further attempt. */
const POSTPONING: ReadonlySet<ModelErrorCode> = new Set([
  "model_rate_limited",
  "model_busy",
  "answer_in_flight",
]);

/** No answer. The message is for people and holds nothing of the request or the key; the endpoint's own words are in `cause`. */
export class ModelError extends Error {
  override readonly name = "ModelError";
  readonly code: ModelErrorCode;
  readonly retryable: boolean;
  /** What the endpoint asked to wait, in milliseconds, however long; null when it did not say. */
  readonly retryAfterMs: number | null;
  /** Of the endpoint's response; null where there was none. */
  readonly status: number | null;
  readonly sooner: ((signal: AbortSignal) => Promise<void>) | null;

  constructor(code: ModelErrorCode, message: string, options: ModelErrorOptions = {}) {
    super(message, options);
    this.code = code;
    this.retryable = options.retryable ?? RETRYABLE[code];
    this.retryAfterMs = options.retryAfterMs ?? null;
    this.status = options.status ?? null;
    this.sooner = options.sooner ?? null;
  }

  /** Whether the call is only to be made later, and nothing failed. */
  get postpones(): boolean {
    return this.retryable && POSTPONING.has(this.code);
  }
}

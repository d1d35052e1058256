interface ErrorEntry {
  readonly status: number;
  /** The same for every occurrence. */
  readonly title: string;
  /** The same request may well succeed later, so its answer is never kept for an `Idempotency-Key`. */
  readonly passing?: true;
}

/** Every code that this API answers with. docs/errors.md says what to do about each, and a test proves the two equal. */
export const ERRORS = {
  malformed_request: { status: 400, title: "The request is not valid HTTP" },
  malformed_json: { status: 400, title: "The body is not valid JSON" },
  malformed_multipart: { status: 400, title: "The body is not valid multipart/form-data" },
  empty_file: { status: 400, title: "The file is empty" },
  invalid_selection: { status: 400, title: "It is not said what is to be removed" },
  invalid_idempotency_key: { status: 400, title: "The Idempotency-Key cannot be used" },
  unauthorized: { status: 401, title: "A key is needed" },
  invalid_key: { status: 401, title: "The key is not valid" },
  no_keys: { status: 401, title: "No key was made yet" },
  admin_required: { status: 403, title: "An admin's key is needed" },
  forbidden_origin: { status: 403, title: "Other sites may not do this" },
  model_not_configured: { status: 404, title: "No model is configured" },
  not_found: { status: 404, title: "There is no such thing" },
  method_not_allowed: { status: 405, title: "The method is not allowed here" },
  request_timeout: { status: 408, title: "The request took too long to arrive", passing: true },
  upload_timeout: { status: 408, title: "The upload stopped arriving", passing: true },
  book_not_ready: { status: 409, title: "The book is still being read", passing: true },
  book_refused: { status: 409, title: "The book cannot be used" },
  book_deleted: { status: 409, title: "The book was deleted" },
  run_ended: { status: 409, title: "The run has ended" },
  nothing_to_retry: { status: 409, title: "The run succeeded" },
  idempotency_in_progress: {
    status: 409,
    title: "The first request with this Idempotency-Key is still at work",
    passing: true,
  },
  too_large: { status: 413, title: "The body is too large" },
  storage_full: { status: 413, title: "There is no room left for your books", passing: true },
  unsupported_format: { status: 415, title: "Books of this format cannot be read" },
  unsupported_media_type: { status: 415, title: "Bodies of this type cannot be read" },
  expectation_failed: { status: 417, title: "The expectation cannot be met" },
  invalid_request: { status: 422, title: "The request does not have the right shape" },
  missing_file: { status: 422, title: "There is no file in the form" },
  unknown_recipe: { status: 422, title: "There is no such recipe" },
  price_unknown: { status: 422, title: "The price of the model is not known" },
  idempotency_mismatch: { status: 422, title: "The Idempotency-Key was used for another request" },
  too_many_attempts: { status: 429, title: "Too many wrong keys", passing: true },
  rate_limited: { status: 429, title: "Too many requests", passing: true },
  headers_too_large: { status: 431, title: "The headers are too large" },
  internal_error: { status: 500, title: "Something went wrong here", passing: true },
  store_unavailable: { status: 503, title: "The store does not answer", passing: true },
  not_ready: { status: 503, title: "Not ready", passing: true },
  queue_not_configured: { status: 503, title: "There is no queue to show", passing: true },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERRORS;

export function errorEntry(code: ErrorCode): ErrorEntry {
  return ERRORS[code];
}

/** One thing that is wrong with a request, and where: a JSON pointer into the body, or the name of a parameter. */
export interface FieldError {
  readonly pointer?: string;
  readonly parameter?: string;
  readonly detail: string;
}

export interface ProblemOptions extends ErrorOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly errors?: readonly FieldError[];
  /** More members of the answer's body. */
  readonly more?: Readonly<Record<string, unknown>>;
}

/** Ends a request with an answer of its own. The detail is a sentence for the client: no stack, no path, no piece of the body. */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly code: ErrorCode;
  readonly headers: Readonly<Record<string, string>>;
  readonly errors: readonly FieldError[];
  readonly more: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, detail: string, options: ProblemOptions = {}) {
    super(detail, options);
    this.code = code;
    this.headers = options.headers ?? {};
    this.errors = options.errors ?? [];
    this.more = options.more ?? {};
  }
}

/** The client went away in mid-request: there is nobody to answer. */
export class ClientGone extends Error {
  override readonly name = "ClientGone";
}

/** What is answered for a thing that does not exist, is someone else's, or whose id could never exist. */
export function notFound(what: "book" | "run", errors: readonly FieldError[] = []): Problem {
  return new Problem("not_found", `There is no ${what} with this id.`, { errors });
}

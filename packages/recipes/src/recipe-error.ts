/**
 * - `no_verified_points`: none of an answer's statements could be shown in the text, not even after the repair question.
 * - `invalid_summary`: the summary's own text stayed unusable after the repair question.
 * - `unknown_value`: a stored value has a shape that this version of the recipe does not know.
 */
export type RecipeErrorCode = "no_verified_points" | "invalid_summary" | "unknown_value";

const RETRYABLE: Readonly<Record<RecipeErrorCode, boolean>> = {
  no_verified_points: true,
  invalid_summary: true,
  unknown_value: false,
};

/** A recipe could not make its value. The message is for people and holds nothing of the book. */
export class RecipeError extends Error {
  override readonly name = "RecipeError";
  readonly code: RecipeErrorCode;
  /** True when asking the model anew may help. An answer kept from the failed attempt must not be reused then. */
  readonly retryable: boolean;

  constructor(code: RecipeErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.retryable = RETRYABLE[code];
  }
}

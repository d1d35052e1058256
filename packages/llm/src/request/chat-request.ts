/** A chat request as the OpenAI API takes it, complete: every field that was given, also those that nobody here knows. */
export type ChatRequest = Readonly<Record<string, unknown>> & {
  readonly model: string;
  readonly messages: readonly unknown[];
};

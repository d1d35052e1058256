import { createModel, type Ledger, type Model } from "@mythic/llm";
import type { CliConfig } from "./config.ts";

/** A long chapter on a slow local model takes minutes. */
const CALL_TIMEOUT_MS = 10 * 60_000;

/** The model that is configured, or null. */
export function openModel({ model, answerReuseMs }: CliConfig, ledger: Ledger): Model | null {
  return model && createModel({ ...model, timeoutMs: CALL_TIMEOUT_MS, ledger, answerReuseMs });
}

import { createModel, type Ledger, type Model } from "@mythic/llm";
import type { CliConfig } from "./config.ts";

/** The model that is configured, or null. */
export function openModel({ model, answerReuseMs, concurrency }: CliConfig, ledger: Ledger): Model | null {
  return model && createModel({ ...model, ledger, answerReuseMs, callsAtOnce: concurrency });
}

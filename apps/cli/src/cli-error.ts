/** What a command ends with. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  partial: 3,
  /** As a shell reports a program that SIGINT ended. */
  interrupted: 130,
} as const;

interface CliErrorOptions extends ErrorOptions {
  /** `EXIT.failed` without it. */
  readonly exitCode?: number;
}

/** Ends the command with one sentence for the person who typed it. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly exitCode: number;

  constructor(sentence: string, { exitCode = EXIT.failed, ...options }: CliErrorOptions = {}) {
    super(sentence, options);
    this.exitCode = exitCode;
  }
}

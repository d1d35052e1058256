/** A load was not waited for any longer. It goes on. */
export class CacheLoadTimeout extends Error {
  override readonly name = "CacheLoadTimeout";
  readonly code = "CACHE_LOAD_TIMEOUT";

  constructor(family: string, milliseconds: number) {
    super(`A value of ${family} was not loaded within ${milliseconds} ms.`);
  }
}

/** The error of a load in another process: its name, message and code. */
class SharedLoadError extends Error {
  override readonly name: string;
  readonly code: string | number | undefined;

  constructor({ name, message, code }: Told) {
    super(message);
    this.name = name;
    this.code = code;
  }
}

interface Told {
  readonly name: string;
  readonly message: string;
  readonly code?: string | number;
}

/** What other processes are told of an error. Longer messages are cut. */
const LONGEST = 2_000;

export function writeLoadError(error: unknown): string {
  if (!(error instanceof Error))
    return JSON.stringify({ name: "Error", message: String(error).slice(0, LONGEST) });
  const { name, message } = error;
  const code = "code" in error && isCode(error.code) ? { code: error.code } : {};
  return JSON.stringify({ name, message: message.slice(0, LONGEST), ...code });
}

/** An error with the name, the message and the code that `writeLoadError` told of. */
export function readLoadError(text: string): Error {
  const told: Told = JSON.parse(text);
  return new SharedLoadError(told);
}

function isCode(code: unknown): code is string | number {
  return typeof code === "string" || typeof code === "number";
}

import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** An expression that ends with its line, and what it says comes out. */
export const CLAIM = /^(\S.*?); \/\/ → (.+)$/gm;

/** All TypeScript of the README.md in a package's folder, one block after the other, as one program. */
export function readProgram(folder: string): string {
  const blocks = readFileSync(join(folder, "README.md"), "utf8").matchAll(/^```ts\n(.*?)^```$/gms);
  return (
    Array.from(blocks, ([, code = ""]) => code)
      .join("\n")
      // A chain of calls is one expression.
      .replaceAll(/\n {2}\./g, ".")
  );
}

/**
 * Runs a program in the folder of a package, so that it imports it by its name. Rejects at the first claim that is not what comes out, and
 * after 20 seconds.
 */
export async function runProgram(
  code: string,
  { folder, env }: { readonly folder: string; readonly env: Readonly<Record<string, string>> },
): Promise<void> {
  const { PATH = "" } = process.env;
  const running = execute(process.execPath, ["--input-type=module-typescript", "-"], {
    cwd: folder,
    env: { PATH, ...env },
    timeout: 20_000,
  });
  running.child.stdin?.end(checked(code));
  await running;
}

/** Makes a program end with the first claim that is not what comes out. */
function checked(code: string): string {
  const assertions = code.replaceAll(
    CLAIM,
    (_line, expression, claim) =>
      `assert.deepEqual(${expression}, ${claim}, ${JSON.stringify(`${expression} is not ${claim}`)});`,
  );
  return `import assert from "node:assert/strict";\n${assertions}`;
}

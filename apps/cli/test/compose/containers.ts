import { execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { promisify } from "node:util";
import { freePort } from "@mythic/testing/free-port";
import { ROOT } from "./readme-lines.ts";

const run = promisify(execFile);
const OUTPUT_LIMIT = 64 * 1024 * 1024;

/** What a line of the shell wrote. */
export interface Line {
  readonly command: string;
  readonly output: string;
}

/** The project's containers under a name and a port of their own, so that they disturb no others. */
export interface Containers extends AsyncDisposable {
  readonly url: string;
  docker(...words: string[]): Promise<string>;
  /** Ids of a service's containers, stopped ones too. */
  idsOf(service: string): Promise<readonly string[]>;
  /**
   * Runs lines in one shell, as a person would who copies them, and stops at the first that fails. A line that asks for a
   * status is repeated until the run has ended.
   */
  shell(lines: readonly string[]): Promise<readonly Line[]>;
}

export async function prepareContainers(): Promise<Containers> {
  const port = await freePort();
  const project = `mythic-test-${randomBytes(4).toString("hex")}`;
  const env = { ...process.env, COMPOSE_PROJECT_NAME: project, COMPOSE_ANSI: "never", PORT: String(port) };
  const docker = async (...words: string[]) =>
    (await run("docker", words, { cwd: ROOT, env, maxBuffer: OUTPUT_LIMIT })).stdout;
  return {
    url: `http://127.0.0.1:${port}`,
    docker,
    idsOf: async (service) =>
      (await docker("compose", "ps", "--all", "--quiet", service)).split("\n").filter((id) => id !== ""),
    shell: (lines) =>
      runLines(
        lines.map((line) => line.replaceAll(":3000", `:${port}`)),
        env,
      ),
    async [Symbol.asyncDispose]() {
      await docker(
        "compose",
        "--profile",
        "*",
        "down",
        "--volumes",
        "--remove-orphans",
        "--rmi",
        "local",
        "--timeout",
        "5",
      );
    },
  };
}

const MARK = "@@line@@";
const ENDED = `*'"status":"succeeded"'*|*'"status":"partial"'*|*'"status":"failed"'*`;

async function runLines(lines: readonly string[], env: NodeJS.ProcessEnv): Promise<readonly Line[]> {
  const script = ["set -eo pipefail", ...lines.map((line) => `echo '${MARK}'\n${repeated(line)}`)].join("\n");
  const shell = spawn("bash", ["-c", script], { cwd: ROOT, env, stdio: ["ignore", "pipe", "pipe"] });
  const said = { output: "", errors: "" };
  shell.stdout.setEncoding("utf8").on("data", (text: string) => {
    said.output += text;
  });
  shell.stderr.setEncoding("utf8").on("data", (text: string) => {
    said.errors += text;
  });
  const code = await new Promise((resolve) => shell.on("close", resolve));
  const outputs = said.output.split(`${MARK}\n`).slice(1);
  const results = outputs.map((output, at) => ({ command: lines[at] ?? "", output }));
  if (code === 0) return results;
  const failing = results.at(-1);
  throw new Error(
    `${failing?.command}\nended with ${code}:\n${failing?.output}\n${said.errors.slice(-4_000)}`,
  );
}

function repeated(line: string): string {
  if (!line.includes("/status/")) return line;
  return [
    "for turn in $(seq 240); do",
    `  answer=$(${line})`,
    `  case "$answer" in ${ENDED}) break;; esac`,
    "  sleep 0.5",
    "done",
    `printf '%s\\n' "$answer"`,
  ].join("\n");
}

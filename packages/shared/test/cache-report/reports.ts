import {
  type OpenCacheReport,
  openCacheReport,
  type ReportOptions,
} from "../../src/cache/report/open-cache-report.ts";

const NO_TIER = { bytes: 0, maxBytes: 0, size: 0, evictions: 0, sizeOf: () => 0 };

/** A line of the log, by its level. */
interface Line {
  readonly level: string;
  readonly line: string;
  readonly fields: object;
}

/** A log that keeps its lines. */
export function keepLines(isLevelEnabled?: (level: string) => boolean) {
  const lines: Line[] = [];
  const writer = (level: string) => (fields: object, line: string) => lines.push({ level, line, fields });
  const log = { debug: writer("debug"), info: writer("info") };
  return { lines, log: isLevelEnabled === undefined ? log : { ...log, isLevelEnabled } };
}

export function openReport(options: Partial<ReportOptions> = {}): OpenCacheReport {
  return openCacheReport({ namespace: "test", redis: null, local: () => NO_TIER, ...options });
}

/** The key of a value. */
export const keyOf = (user: string, rest = "mine") => `test:c:{u:${user}}:v:books.1:${rest}`;

import { LIMITS } from "./limits.ts";
import { keyPointId } from "./prompt.ts";
import type { MergeAnswer } from "./schema.ts";
import type { KeyPoint, Summary } from "./values.ts";

/** A key point and the 0-based position of the child that it comes from. */
interface Chosen {
  readonly child: number;
  readonly keyPoint: KeyPoint;
}

/** What an answer's ids mean. */
export interface Choice {
  readonly chosen: readonly Chosen[];
  /** Ids that name no key point. */
  readonly unknown: number;
  /** What to mend, in words for the model. */
  readonly reasons: readonly string[];
}

/** From this many children on, a choice must come from at least half of them. */
const MIN_CHILDREN_TO_SPREAD = 4;

/** Looks the chosen ids up. Twice the same id counts once; the order is that of the book. */
export function readChoice(answer: MergeAnswer, children: readonly Summary[]): Choice {
  const offered = offeredPoints(children);
  const chosen = new Map<string, Chosen>();
  let unknown = 0;
  for (const written of answer.keyPoints) {
    const id = /\d+\.\d+/u.exec(written)?.[0] ?? "";
    const point = offered.get(id);
    if (point === undefined) {
      unknown += 1;
    } else {
      chosen.set(id, point);
    }
  }
  const ordered = [...offered].filter(([id]) => chosen.has(id)).map(([, point]) => point);
  return { chosen: ordered, unknown, reasons: reasonsAgainst(ordered, offered) };
}

/** At most `limit` of the chosen points, fairly from all children; of all points when none was chosen. */
export function settleChoice(choice: Choice, children: readonly Summary[], limit: number): KeyPoint[] {
  const from = choice.chosen.length > 0 ? choice.chosen : [...offeredPoints(children).values()];
  return takeInTurns(from, limit).map(({ keyPoint }) => keyPoint);
}

export function pointLimit(whole: boolean): number {
  return whole ? LIMITS.whole.keyPoints : LIMITS.merge.keyPoints;
}

function offeredPoints(children: readonly Summary[]): Map<string, Chosen> {
  return new Map(
    children.flatMap(({ keyPoints }, child) =>
      keyPoints.map((keyPoint, point): [string, Chosen] => [keyPointId(child, point), { child, keyPoint }]),
    ),
  );
}

function reasonsAgainst(chosen: readonly Chosen[], offered: ReadonlyMap<string, Chosen>): string[] {
  if (chosen.length === 0) {
    return offered.size === 0
      ? []
      : ["keyPoints: none of these ids names a key point; write ids such as 2.3."];
  }
  const withPoints = countChildren([...offered.values()]);
  const isNarrow = withPoints >= MIN_CHILDREN_TO_SPREAD && countChildren(chosen) < withPoints / 2;
  return isNarrow ? ["keyPoints: they come from less than half of the summaries; spread them over all."] : [];
}

function countChildren(points: readonly Chosen[]): number {
  return new Set(points.map(({ child }) => child)).size;
}

/** The first point of each child, then the second of each, and so on up to the limit; in the order of the book again. */
function takeInTurns(points: readonly Chosen[], limit: number): Chosen[] {
  const turns = new Map<number, number>();
  const ranked = points.map((point, position) => {
    const turn = turns.get(point.child) ?? 0;
    turns.set(point.child, turn + 1);
    return { point, position, turn };
  });
  return ranked
    .toSorted((one, other) => one.turn - other.turn || one.position - other.position)
    .slice(0, limit)
    .toSorted((one, other) => one.position - other.position)
    .map(({ point }) => point);
}

import { findRecipe } from "@mythic/recipes";
import { type ChapterOutline, planRun, type Run } from "@mythic/runs";

/**
 * The shortest time in which a run's calls can be made one after the other per step, so many steps at once and each as soon as its inputs
 * are there, if nothing else took any time: list scheduling of the plan, in milliseconds.
 */
export function schedulingBoundMs(
  run: Run,
  outlines: readonly ChapterOutline[],
  slots: number,
  callMs: number,
): number {
  const lengths = new Map(outlines.map((outline) => [String(outline.index), outline.length]));
  const endedAt = new Map<string, number>();
  const busyUntil = new Array<number>(slots).fill(0);
  let waiting = planRun(run, outlines);
  while (waiting.length > 0) {
    const slot = busyUntil.indexOf(Math.min(...busyUntil));
    const ready = waiting
      .filter((step) => step.inputs.every((input) => endedAt.has(input)))
      .map((step) => ({
        step,
        from: Math.max(busyUntil[slot] ?? 0, ...step.inputs.map((input) => endedAt.get(input) ?? 0)),
      }))
      .sort((a, b) => a.from - b.from)[0];
    if (!ready) throw new Error("the plan has a circle");
    const { step, from } = ready;
    const recipe = findRecipe(step.recipe ?? "");
    const forecast =
      step.kind === "chapter"
        ? recipe?.forecastChapter(lengths.get(step.unit) ?? 0)
        : recipe?.forecastMerge(step.inputs.length);
    const end = from + (step.kind === "finish" ? 0 : (forecast?.calls ?? 0) * callMs);
    busyUntil[slot] = end;
    endedAt.set(step.id, end);
    waiting = waiting.filter((other) => other !== step);
  }
  return Math.max(...endedAt.values());
}

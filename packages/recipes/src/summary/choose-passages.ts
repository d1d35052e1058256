import type { Passage } from "./values.ts";

/** A passage that may be chosen, and the words in it, folded, each once. */
export interface Candidate {
  readonly passage: Passage;
  readonly words: ReadonlySet<string>;
}

/**
 * Chooses the passages that together cover most of what the text keeps coming back to, with a quota for every section, so that the end
 * is heard as well as the beginning. Greedy: each choice takes the passage whose words, not covered yet, weigh most for its length; a
 * word weighs by how often it occurs and how few passages hold it. Deterministic; ties go to the earlier passage.
 * The result is in reading order of sections and passages.
 */
export function choosePassages(sections: readonly (readonly Candidate[])[], count: number): Passage[] {
  const weights = weighWords(sections.flat());
  const covered = new Set<string>();
  const chosen = new Set<Candidate>();
  const choose = (from: readonly Candidate[]): boolean => {
    const best = findBest(from, chosen, (candidate) => gainOf(candidate, weights, covered));
    if (best === null) {
      return false;
    }
    chosen.add(best);
    for (const word of best.words) {
      covered.add(word);
    }
    return true;
  };

  const filled = sections.filter((section) => section.length > 0);
  for (let slot = 0; slot < count && filled.length > 0; slot += 1) {
    const section = filled[Math.floor((slot * filled.length) / count)] ?? [];
    // A section that has nothing left gives its slot to all.
    if (!(choose(section) || choose(filled.flat()))) {
      break;
    }
  }
  return filled
    .flat()
    .filter((candidate) => chosen.has(candidate))
    .map(({ passage }) => passage);
}

function weighWords(candidates: readonly Candidate[]): Map<string, number> {
  const holders = new Map<string, number>();
  for (const { words } of candidates) {
    for (const word of words) {
      holders.set(word, (holders.get(word) ?? 0) + 1);
    }
  }
  // A word of a single passage tells least of the whole, one of every passage tells nothing.
  return new Map(
    [...holders].map(([word, held]) => [word, Math.log(1 + held) * Math.log(candidates.length / held)]),
  );
}

function gainOf(
  { words }: Candidate,
  weights: ReadonlyMap<string, number>,
  covered: ReadonlySet<string>,
): number {
  let gain = 0;
  for (const word of words) {
    gain += covered.has(word) ? 0 : (weights.get(word) ?? 0);
  }
  // The constant keeps the shortest sentences from winning by their shortness.
  return gain / (words.size + 3);
}

function findBest(
  candidates: readonly Candidate[],
  taken: ReadonlySet<Candidate>,
  gain: (candidate: Candidate) => number,
): Candidate | null {
  let best: Candidate | null = null;
  let bestGain = Number.NEGATIVE_INFINITY;
  for (const candidate of candidates) {
    const candidateGain = taken.has(candidate) ? Number.NEGATIVE_INFINITY : gain(candidate);
    if (candidateGain > bestGain) {
      best = candidate;
      bestGain = candidateGain;
    }
  }
  return best;
}

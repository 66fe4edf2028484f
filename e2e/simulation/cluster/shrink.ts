import type { History } from "./history.ts";
import { type Outcome, run } from "./run.ts";

const maxRuns = 150;

/**
 * A history with as few acts as it takes for the same to be wrong: first halves are left out, then quarters, in the end single acts, and then
 * Services.
 */
export async function shrink(
  history: History,
  judge: (history: History) => Promise<Pick<Outcome, "problem">> = (candidate) => run(candidate),
): Promise<History> {
  const { problem } = await judge(history);
  if (problem === undefined) return history;
  const wrong = kindOf(problem);
  let smallest = history;
  let runs = 0;
  const isAsWrong = async (candidate: History) => {
    if (runs++ >= maxRuns) return false;
    const { problem } = await judge(candidate);
    return problem !== undefined && kindOf(problem) === wrong;
  };
  for (let size = Math.ceil(history.acts.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < smallest.acts.length; ) {
      const candidate = { ...smallest, acts: smallest.acts.toSpliced(from, size) };
      if (await isAsWrong(candidate)) smallest = candidate;
      else from += size;
    }
  }
  for (const name of Object.keys(smallest.services)) {
    const { [name]: _, ...services } = smallest.services;
    if (await isAsWrong({ ...smallest, services })) smallest = { ...smallest, services };
  }
  return smallest;
}

/** Which promise is broken: what a sentence says without names, addresses, times and how many there are of them. */
function kindOf(problem: string): string {
  const words = problem.split(/[\s,:]+/);
  return words.filter((word) => /^[a-z]{2,}$/i.test(word) && word !== "and").join(" ");
}

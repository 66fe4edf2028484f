import type { History } from "./history.ts";
import { run } from "./run.ts";

const maxRuns = 150;

/** A history with as few acts as it takes for something to be wrong: first halves are left out, then quarters, in the end single acts. */
export async function shrink(history: History): Promise<History> {
  let smallest = history;
  let runs = 0;
  const isWrong = async (candidate: History) => runs++ < maxRuns && (await run(candidate)).problem !== undefined;
  for (let size = Math.ceil(history.acts.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < smallest.acts.length; ) {
      const candidate = { ...smallest, acts: smallest.acts.toSpliced(from, size) };
      if (await isWrong(candidate)) smallest = candidate;
      else from += size;
    }
  }
  for (const name of Object.keys(smallest.services)) {
    const { [name]: _, ...services } = smallest.services;
    if (await isWrong({ ...smallest, services })) smallest = { ...smallest, services };
  }
  return smallest;
}

import { type VerdictAnswer, worst } from "#pkg/verdict";
import type { PoolAnswer, PoolsAnswer } from "./answers.ts";
import type { Answer } from "./processes.ts";

/** One verdict on each pool, the worst of what controller and speakers say. In the order of the configuration. */
export function mergePools(answers: readonly Answer<PoolsAnswer>[]): PoolAnswer[] {
  const byName = new Map<string, PoolAnswer[]>();
  // The controller's come first, in the order of the configuration.
  const ordered = answers.toSorted((a, b) => a.target.program.localeCompare(b.target.program));
  for (const { body } of ordered) for (const one of body.pools) byName.set(one.pool, [...(byName.get(one.pool) ?? []), one]);
  return [...byName].flatMap(([pool, all]): PoolAnswer[] => {
    const [first, ...rest] = all;
    if (first === undefined) return [];
    const verdict = worst([first.verdict, ...rest.map((one) => one.verdict), ...nobody(pool, ordered)]);
    return [{ ...(all.find((one) => one.total !== undefined) ?? first), verdict }];
  });
}

/** By BGP each node speaks for itself, and may have nothing to do with a pool; where that is so of all that answer, nobody announces it. */
function nobody(pool: string, answers: readonly Answer<PoolsAnswer>[]): VerdictAnswer[] {
  const speakers = answers.filter(({ target }) => target.program === "speaker");
  const verdicts = speakers.flatMap(({ body }) => body.pools.find((one) => one.pool === pool)?.verdict ?? []);
  const [first] = verdicts;
  const isNobodys = verdicts.every(({ state, cause }) => state === "NotOurs" && cause !== "protocolNone");
  return first === undefined || !isNobodys ? [] : [{ ...first, state: "Pending" }];
}

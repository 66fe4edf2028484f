import type { BgpAdvertisement, LabelSelector } from "./config.ts";
import { matchesSelector } from "./matches-selector.ts";

/** What is left to be spent on comparisons; nobody's text may stall the process. */
export interface Budget {
  comparisons: number;
}

type Reach = Pick<BgpAdvertisement, "peers" | "nodeSelectors">;

/** Whether one node may announce both to one peer; true also where the budget ends before that is known. */
export function canMeet(a: Reach, b: Reach, budget: Budget): boolean {
  budget.comparisons -= 1 + a.peers.length + b.peers.length;
  if (budget.comparisons < 0) return true;
  const peers = new Set(a.peers);
  if (peers.size > 0 && b.peers.length > 0 && !b.peers.some((name) => peers.has(name))) return false;
  return canBeSelectedByBoth(a.nodeSelectors, b.nodeSelectors, budget);
}

/** Whether one node may be selected by both lists; an empty one selects all. True also where the budget ends before that is known. */
export function canBeSelectedByBoth(a: readonly LabelSelector[], b: readonly LabelSelector[], budget: Budget): boolean {
  if (a.length === 0 || b.length === 0) return true;
  return a.some((one) => b.some((other) => canBothMatch(one, other, budget)));
}

/** Whether there are labels that both selectors match. Labels do not depend on one another, so each is looked at by itself. */
function canBothMatch(a: LabelSelector, b: LabelSelector, budget: Budget): boolean {
  const all = [conditions(a), conditions(b)].flat();
  return [...Map.groupBy(all, ({ key }) => key)].every(([key, those]) => {
    const named = new Set(those.flatMap(({ values }) => values));
    const other = unlike(named);
    budget.comparisons -= (named.size + 2) * (those.length + named.size);
    if (budget.comparisons < 0) return true;
    const selector = { matchLabels: new Map(), matchExpressions: those };
    return matchesSelector(selector, {}) || [...named, other].some((value) => matchesSelector(selector, { [key]: value }));
  });
}

function conditions({ matchLabels, matchExpressions }: LabelSelector): LabelSelector["matchExpressions"] {
  const equal = [...matchLabels].map(([key, value]) => ({ key, operator: "In" as const, values: [value] }));
  return [...equal, ...matchExpressions];
}

/** A value that is none of these. */
function unlike(values: ReadonlySet<string>): string {
  let value = "x";
  while (values.has(value)) value += "x";
  return value;
}

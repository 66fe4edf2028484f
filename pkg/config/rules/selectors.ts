import { quote } from "#pkg/text";
import type { BgpAdvertisement, LabelExpression, LabelSelector } from "../config.ts";
import type { Path, Problems } from "../problems.ts";
import type { RawExpression, RawList, RawSelector } from "../shape/raw.ts";

/** Reads `node-selectors` of a peer or a pool, with the rules of Kubernetes for label selectors. */
export function readSelectors(raw: RawList<RawSelector>, path: Path, problems: Problems): LabelSelector[] {
  const selectors: LabelSelector[] = [];
  for (const [index, fields] of raw.entries())
    if (fields !== undefined) selectors.push(readSelector(fields, [...path, index], problems));
  return selectors;
}

function readSelector(fields: RawSelector, path: Path, problems: Problems): LabelSelector {
  const matchLabels = new Map<string, string>();
  for (const [key, value] of Object.entries(fields["match-labels"] ?? {})) {
    const here = [...path, "match-labels", key];
    if (!isLabelKey(key)) problems.errorAtKey(here, notALabelKey(key));
    if (value === undefined) continue;
    checkValue(value, here, problems);
    matchLabels.set(key, value);
  }
  const matchExpressions: LabelExpression[] = [];
  for (const [index, expression] of (fields["match-expressions"] ?? []).entries())
    if (expression !== undefined)
      matchExpressions.push(readExpression(expression, [...path, "match-expressions", index], problems));
  return { matchLabels, matchExpressions };
}

function readExpression(fields: RawExpression, path: Path, problems: Problems): LabelExpression {
  const { key = "", operator = "Exists" } = fields;
  if (fields.key !== undefined && !isLabelKey(key)) problems.error([...path, "key"], notALabelKey(key));
  const values: string[] = [];
  for (const [index, value] of (fields.values ?? []).entries()) {
    if (value === undefined) continue;
    checkValue(value, [...path, "values", index], problems);
    values.push(value);
  }
  const takesValues = operator === "In" || operator === "NotIn";
  const given = fields.values !== undefined && fields.values.length > 0;
  if (fields.operator !== undefined && takesValues !== given)
    problems.error([...path, "values"], takesValues ? `${operator} needs at least one value` : `${operator} takes no values`);
  return { key, operator, values };
}

const word = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const domain = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;

function isLabelKey(key: string): boolean {
  const slash = key.lastIndexOf("/");
  const prefix = slash < 0 ? undefined : key.slice(0, slash);
  return word.test(key.slice(slash + 1)) && (prefix === undefined || (prefix.length <= 253 && domain.test(prefix)));
}

function notALabelKey(key: string): string {
  return `${quote(key)} is not a label: at most 63 letters, digits, "-", "_" or ".", after an optional domain and "/"`;
}

function checkValue(value: string, path: Path, problems: Problems): void {
  if (value === "" || word.test(value)) return;
  problems.error(
    path,
    `no label has the value ${quote(value)}: at most 63 letters, digits, "-", "_" or ".", beginning and ending with one of the first two`,
  );
}

/** Whether an object with these labels is selected. A selector with nothing in it selects everything. */
export function matchesSelector(selector: LabelSelector, labels: Readonly<Record<string, string>>): boolean {
  const label = (key: string): string | undefined => (Object.hasOwn(labels, key) ? labels[key] : undefined);
  for (const [key, value] of selector.matchLabels) if (label(key) !== value) return false;
  return selector.matchExpressions.every((expression) => holds(expression, label(expression.key)));
}

function holds({ operator, values }: LabelExpression, value: string | undefined): boolean {
  switch (operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value); // Kubernetes counts an absent label as not in.
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
  }
}

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

import { quote } from "#pkg/text";
import type { BgpAdvertisement, LabelExpression, LabelSelector, PreferredNodes } from "../config.ts";
import type { Place } from "../problems.ts";
import type { RawExpression, RawList, RawPreferredNode, RawSelector } from "../shape/raw.ts";

/** Reads `node-selectors` of a peer or a pool, with the rules of Kubernetes for label selectors. */
export function readSelectors(raw: RawList<RawSelector>, at: Place): LabelSelector[] {
  return Array.from(at.each(raw), ([fields, here]) => readSelector(fields, here));
}

/** Reads `preferred-nodes` of a pool. */
export function readPreferredNodes(raw: RawList<RawPreferredNode>, at: Place): PreferredNodes[] {
  return Array.from(at.each(raw), ([fields, here]) => {
    const selector = readSelector(fields, here);
    if (selector.matchLabels.size + selector.matchExpressions.length === 0)
      here.warn("it matches every node, so that it prefers none");
    return { weight: fields.weight ?? 1, selector };
  });
}

function readSelector(fields: RawSelector, at: Place): LabelSelector {
  const matchLabels = new Map<string, string>();
  for (const [key, value] of Object.entries(fields["match-labels"] ?? {})) {
    const here = at.in("match-labels", key);
    if (!isLabelKey(key)) here.errorAtKey(notALabelKey(key));
    if (value === undefined) continue;
    checkValue(value, here);
    matchLabels.set(key, value);
  }
  const expressions = at.in("match-expressions").each(fields["match-expressions"]);
  return { matchLabels, matchExpressions: Array.from(expressions, ([expression, here]) => readExpression(expression, here)) };
}

function readExpression(fields: RawExpression, at: Place): LabelExpression {
  const { key = "", operator = "Exists" } = fields;
  if (fields.key !== undefined && !isLabelKey(key)) at.in("key").error(notALabelKey(key));
  const values: string[] = [];
  for (const [value, here] of at.in("values").each(fields.values)) {
    checkValue(value, here);
    values.push(value);
  }
  const takesValues = operator === "In" || operator === "NotIn";
  const given = fields.values !== undefined && fields.values.length > 0;
  if (fields.operator !== undefined && takesValues !== given)
    at.in("values").error(takesValues ? `${operator} needs at least one value` : `${operator} takes no values`);
  return { key, operator, values };
}

const word = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const domain = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;

/** Whether labels may have this name; annotations have names of the same form. */
export function isLabelKey(key: string): boolean {
  const slash = key.lastIndexOf("/");
  const prefix = slash < 0 ? undefined : key.slice(0, slash);
  return word.test(key.slice(slash + 1)) && (prefix === undefined || (prefix.length <= 253 && domain.test(prefix)));
}

function notALabelKey(key: string): string {
  return `${quote(key)} is not a label: at most 63 letters, digits, "-", "_" or ".", after an optional domain and "/"`;
}

function checkValue(value: string, at: Place): void {
  if (value === "" || word.test(value)) return;
  at.error(
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

/** Comparisons left; nobody's text may stall the process. */
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
  const [one, other] = [conditionsOf(a), conditionsOf(b)];
  const [fewer, more] = one.byLabel.size < other.byLabel.size ? [one, other] : [other, one];
  budget.comparisons -= 1 + fewer.byLabel.size;
  if (budget.comparisons < 0) return true;
  if (!one.canMatch || !other.canMatch) return false;
  for (const [label, those] of fewer.byLabel) {
    const others = more.byLabel.get(label);
    if (others === undefined) continue;
    const all = [...those, ...others];
    budget.comparisons -= all.reduce((sum, { values }) => sum + 1 + values.length, 0);
    if (budget.comparisons < 0) return true;
    if (!canHold(all)) return false;
  }
  return true;
}

interface Conditions {
  readonly byLabel: ReadonlyMap<string, readonly LabelExpression[]>; // label -> all that is asked of it
  /** Whether there are labels that match at all. */
  readonly canMatch: boolean;
}

const known = new WeakMap<LabelSelector, Conditions>();

function conditionsOf(selector: LabelSelector): Conditions {
  const found = known.get(selector);
  if (found !== undefined) return found;
  const equal = [...selector.matchLabels].map(([key, value]) => ({ key, operator: "In" as const, values: [value] }));
  const byLabel = Map.groupBy([...equal, ...selector.matchExpressions], ({ key }) => key);
  const conditions = { byLabel, canMatch: byLabel.values().every(canHold) };
  known.set(selector, conditions);
  return conditions;
}

/** Whether a label can meet all of these conditions on it, by one of its values or by being absent. */
function canHold(conditions: readonly LabelExpression[]): boolean {
  let allowed: ReadonlySet<string> | undefined; // Any value while undefined.
  const excluded = new Set<string>();
  let canBeAbsent = true;
  let canBePresent = true;
  for (const { operator, values } of conditions) {
    if (operator === "In") allowed = new Set(allowed === undefined ? values : values.filter((value) => allowed?.has(value)));
    if (operator === "In" || operator === "Exists") canBeAbsent = false;
    if (operator === "NotIn") for (const value of values) excluded.add(value);
    if (operator === "DoesNotExist") canBePresent = false;
  }
  return canBeAbsent || (canBePresent && (allowed === undefined || allowed.values().some((value) => !excluded.has(value))));
}

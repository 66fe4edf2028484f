import { type LabelSelector, matchesSelector } from "#pkg/config";
import { array, type Fitting, object, oneOf, text, textMap } from "./fields.ts";

const expression = {
  ...object({ key: text, operator: oneOf("In", "NotIn", "Exists", "DoesNotExist"), values: array(text) }, "key", "operator"),
  /** As by the API's own rule: such a condition was meant otherwise, and might select everything. */
  check: ({ operator, values = [] }: { readonly operator?: string; readonly values?: readonly string[] }) => {
    if ((operator === "In" || operator === "NotIn") && values.length === 0)
      return { field: "values", message: `must have a value, as the operator is ${operator}` };
    if ((operator === "Exists" || operator === "DoesNotExist") && values.length > 0)
      return { field: "values", message: `must have no value, as the operator is ${operator}` };
    return undefined;
  },
};

/** A label selector, by the API server's schema. */
export const labelSelector = object({ matchLabels: textMap, matchExpressions: array(expression) });
export type Selector = Fitting<typeof labelSelector>;
type Expression = Fitting<typeof expression>;

/** Conditions of which all have to hold. */
type Conjunction = readonly Expression[];

/** A set of nodes: those that any of these selects; none of them selects no node, an empty one all. */
export type Nodes = readonly Conjunction[];

export const allNodes: Nodes = [[]];

/** More alternatives than that help nobody, and could be made to fill the memory. */
const maxAlternatives = 64;

/** The nodes of a list of selectors, which selects all when it is empty, or absent. */
export function nodesOf(selectors: readonly Selector[] = []): Nodes {
  return selectors.length === 0 ? allNodes : tidy(selectors.map(conditions));
}

function conditions({ matchLabels = {}, matchExpressions = [] }: Selector): Conjunction {
  const labels = Object.entries(matchLabels).map(([key, value]) => ({ key, operator: "In" as const, values: [value] }));
  return [...labels, ...matchExpressions];
}

export function unite(...sets: readonly Nodes[]): Nodes {
  return tidy(sets.flat());
}

/** @returns undefined when that takes too many selectors */
export function intersect(a: Nodes, b: Nodes): Nodes | undefined {
  if (a.length * b.length > maxAlternatives) return undefined;
  return tidy(a.flatMap((one) => b.map((other) => [...one, ...other])));
}

/** All other nodes. @returns undefined when that takes too many selectors */
export function complement(nodes: Nodes): Nodes | undefined {
  let rest: Nodes | undefined = allNodes;
  for (const conjunction of nodes)
    rest =
      rest &&
      intersect(
        rest,
        conjunction.map((condition) => [negate(condition)]),
      );
  return rest;
}

const opposite = { In: "NotIn", NotIn: "In", Exists: "DoesNotExist", DoesNotExist: "Exists" } as const;

function negate({ operator, ...rest }: Expression): Expression {
  return { ...rest, operator: opposite[operator] };
}

/** Without what selects nothing, and without repetitions; equal sets that are written alike become equal. */
function tidy(nodes: Nodes): Nodes {
  const found = new Map<string, Conjunction>(); // text -> conjunction
  for (const conjunction of nodes) {
    const simple = simplify(conjunction);
    if (simple?.length === 0) return allNodes;
    if (simple !== undefined) found.set(JSON.stringify(simple), simple);
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, conjunction]) => conjunction);
}

/** The same conditions, at most two of each label. @returns undefined when no node can meet them */
function simplify(conjunction: Conjunction): Conjunction | undefined {
  const simple: Expression[] = [];
  for (const [key, all] of [...Map.groupBy(conjunction, ({ key }) => key)].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const valuesOf = (operator: Expression["operator"]) =>
      all.filter((one) => one.operator === operator).map(({ values = [] }) => values);
    const excluded = new Set(valuesOf("NotIn").flat());
    const [first, ...more] = valuesOf("In");
    const allowed = first?.filter((value) => !excluded.has(value) && more.every((values) => values.includes(value)));
    const mustExist = first !== undefined || valuesOf("Exists").length > 0;
    const mustNotExist = valuesOf("DoesNotExist").length > 0;
    if ((mustExist && mustNotExist) || allowed?.length === 0) return undefined;
    if (mustNotExist) simple.push({ key, operator: "DoesNotExist" });
    else if (allowed !== undefined) simple.push({ key, operator: "In", values: [...new Set(allowed)].sort() });
    else {
      if (mustExist) simple.push({ key, operator: "Exists" });
      if (excluded.size > 0) simple.push({ key, operator: "NotIn", values: [...excluded].sort() });
    }
  }
  return simple;
}

export function isSame(a: Nodes, b: Nodes): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Selectors of a custom resource; undefined for all nodes. */
export function toSelectors(nodes: Nodes): Selector[] | undefined {
  if (nodes.some((conjunction) => conjunction.length === 0)) return undefined;
  if (nodes.length === 0) return [nobody];
  return nodes.map((conjunction) => {
    const labels = conjunction.filter(isLabel);
    const matchExpressions = conjunction.filter((condition) => !isLabel(condition));
    const matchLabels = Object.fromEntries(labels.map(({ key, values: [value = ""] = [] }) => [key, value]));
    return { ...(labels.length > 0 && { matchLabels }), ...(matchExpressions.length > 0 && { matchExpressions }) };
  });
}

/** A label that has to be there and must not be: an empty list would select every node. */
const nobody: Selector = {
  matchExpressions: [
    { key: "kubernetes.io/os", operator: "Exists" },
    { key: "kubernetes.io/os", operator: "DoesNotExist" },
  ],
};

/** Selectors of the ConfigMap; undefined for all nodes. */
export function toConfigSelectors(nodes: Nodes): object[] | undefined {
  return toSelectors(nodes)?.map(({ matchLabels, matchExpressions }) => ({
    ...(matchLabels && { "match-labels": matchLabels }),
    ...(matchExpressions && { "match-expressions": matchExpressions }),
  }));
}

function isLabel({ operator, values = [] }: Expression): boolean {
  return operator === "In" && values.length === 1;
}

/** The same of a configuration that was read. */
export function nodesOfConfig(selectors: readonly LabelSelector[]): Nodes {
  return nodesOf(
    selectors.map(({ matchLabels, matchExpressions }) => ({ matchLabels: Object.fromEntries(matchLabels), matchExpressions })),
  );
}

/** Whether any of these matches an object with these labels. */
export function anyMatches(selectors: readonly Selector[], labels: Readonly<Record<string, string>>): boolean {
  return selectors.some(({ matchLabels = {}, matchExpressions = [] }) =>
    matchesSelector(
      {
        matchLabels: new Map(Object.entries(matchLabels)),
        matchExpressions: matchExpressions.map(({ values = [], ...rest }) => ({ ...rest, values })),
      },
      labels,
    ),
  );
}

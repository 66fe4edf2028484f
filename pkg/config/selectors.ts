import type { LabelExpression, LabelSelector } from "./config.ts";
import { type Path, quote } from "./problem.ts";
import type { RawExpression, RawList, RawSelector } from "./raw.ts";
import type { Report } from "./report.ts";

/** Reads `node-selectors` of a peer or a pool, with the rules of Kubernetes for label selectors. */
export function readSelectors(raw: RawList<RawSelector>, path: Path, report: Report): LabelSelector[] {
  const selectors: LabelSelector[] = [];
  for (const [index, fields] of raw.entries())
    if (fields !== undefined) selectors.push(readSelector(fields, [...path, index], report));
  return selectors;
}

function readSelector(fields: RawSelector, path: Path, report: Report): LabelSelector {
  const matchLabels = new Map<string, string>();
  for (const [key, value] of Object.entries(fields["match-labels"] ?? {})) {
    const here = [...path, "match-labels", key];
    if (!isLabelKey(key)) report.errorAtKey(here, notALabelKey(key));
    if (value === undefined) continue;
    checkValue(value, here, report);
    matchLabels.set(key, value);
  }
  const matchExpressions: LabelExpression[] = [];
  for (const [index, expression] of (fields["match-expressions"] ?? []).entries())
    if (expression !== undefined)
      matchExpressions.push(readExpression(expression, [...path, "match-expressions", index], report));
  return { matchLabels, matchExpressions };
}

function readExpression(fields: RawExpression, path: Path, report: Report): LabelExpression {
  const { key = "", operator = "Exists" } = fields;
  if (fields.key !== undefined && !isLabelKey(key)) report.error([...path, "key"], notALabelKey(key));
  const values: string[] = [];
  for (const [index, value] of (fields.values ?? []).entries()) {
    if (value === undefined) continue;
    checkValue(value, [...path, "values", index], report);
    values.push(value);
  }
  const takesValues = operator === "In" || operator === "NotIn";
  const given = fields.values !== undefined && fields.values.length > 0;
  if (fields.operator !== undefined && takesValues !== given)
    report.error([...path, "values"], takesValues ? `${operator} needs at least one value` : `${operator} takes no values`);
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

function checkValue(value: string, path: Path, report: Report): void {
  if (value === "" || word.test(value)) return;
  report.error(
    path,
    `no label has the value ${quote(value)}: at most 63 letters, digits, "-", "_" or ".", beginning and ending with one of the first two`,
  );
}

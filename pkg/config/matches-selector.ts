import type { LabelExpression, LabelSelector } from "./config.ts";

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

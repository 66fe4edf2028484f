import { badRequest } from "./api-error.ts";

/** Label sets, or the selectable fields of an object: name -> value. */
export type Labels = Readonly<Record<string, string>>;
export type Selector = (labels: Labels) => boolean;

const name = "[A-Za-z0-9][-A-Za-z0-9_./]*";
const value = "[-A-Za-z0-9_.]*";
const setBased = new RegExp(`^(${name})\\s+(in|notin)\\s+\\(([^()]*)\\)$`);
const equality = new RegExp(`^(${name})\\s*(==|=|!=)\\s*(${value})$`);
const existence = new RegExp(`^(!?)\\s*(${name})$`);

/** Reads a label selector: `a=b`, `a!=b`, `a in (b,c)`, `a notin (b)`, `a`, `!a`, joined by commas. @throws {ApiError} 400 */
export function parseLabelSelector(text: string): Selector {
  const requirements = splitOutsideParentheses(text).map(labelRequirement);
  return (labels) => requirements.every((matches) => matches(labels));
}

function labelRequirement(text: string): Selector {
  const set = setBased.exec(text);
  if (set) {
    const [, key = "", operator, list = ""] = set;
    const values = list.split(",").map((item) => item.trim());
    return operator === "in"
      ? (labels) => Object.hasOwn(labels, key) && values.includes(labels[key] ?? "")
      : (labels) => !Object.hasOwn(labels, key) || !values.includes(labels[key] ?? "");
  }
  const equals = equality.exec(text);
  if (equals) {
    const [, key = "", operator, wanted] = equals;
    return operator === "!=" ? (labels) => labels[key] !== wanted : (labels) => labels[key] === wanted;
  }
  const exists = existence.exec(text);
  if (!exists) throw badRequest(`unable to parse requirement: ${JSON.stringify(text)}`);
  const [, not, key = ""] = exists;
  return (labels) => Object.hasOwn(labels, key) === (not === "");
}

function splitOutsideParentheses(text: string): string[] {
  return text
    .split(/,(?![^(]*\))/)
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

/** One requirement on a field. */
export interface FieldRequirement {
  readonly field: string;
  readonly equals: boolean;
  readonly value: string;
}

/** Reads a field selector: `field=value`, `field!=value`, joined by commas. @throws {ApiError} 400 also for a field not in `supported` */
export function parseFieldSelector(text: string, supported: readonly string[]): FieldRequirement[] {
  return text
    .split(",")
    .filter((part) => part !== "")
    .map((part) => {
      const match = /^([^=!]+)(==|=|!=)(.*)$/.exec(part);
      if (!match) throw badRequest(`invalid selector: '${part}'; can't understand '${part}'`);
      const [, field = "", operator, value = ""] = match;
      if (!supported.includes(field)) throw badRequest(`field label not supported: ${field}`);
      return { field, equals: operator !== "!=", value };
    });
}

export function fieldSelector(requirements: readonly FieldRequirement[]): Selector {
  return (fields) => requirements.every(({ field, equals, value }) => (fields[field] === value) === equals);
}

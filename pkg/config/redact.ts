import { parseManifest } from "./manifest.ts";
import { Problems } from "./problems.ts";
import { type FieldSchema, fieldSchema, itemSchema, rootSchema } from "./shape/schema.ts";
import { textAt, type YamlNode, type YamlScalar } from "./yaml/node.ts";

/** A text that may be shown to others. */
export interface Redacted {
  readonly text: string;
  /** The passwords that were found, as they are meant: they may stand elsewhere too. */
  readonly secrets: ReadonlySet<string>;
}

const mark = "REDACTED";
const passwordField = "password";
// Letters and digits are text; the rest is what makes YAML YAML, or what breaks it.
const word = /[\p{L}\p{N}\p{M}_]+/gu;

/**
 * The text of a configuration without its passwords, with all else on its line. The text shows values that the schema has a field for, and
 * the names of fields. In all else, such as comments and values of fields that do not exist, each letter is an `x`, because a password may
 * be behind a misspelt name. A text that is no YAML keeps only the names of fields.
 * @param kinds objects that a document of the text may be: kind -> schema
 */
export function redactConfig(text: string, kinds: ReadonlyMap<string, FieldSchema> = new Map()): Redacted {
  const problems = new Problems();
  const documents = parseManifest(text, problems);
  const found: Findings = { shown: [], hidden: [], secrets: new Set() };
  for (const document of documents ?? [])
    if (document !== undefined) walk(document, kinds.get(textAt(document, "kind")) ?? rootSchema, undefined, found);
  const names =
    kinds.size === 0 ? fieldNames : new Set([rootSchema, ...kinds.values()].flatMap((schema) => [...namesOf(schema)]));
  return { text: rewritten(text, found, names), secrets: found.secrets };
}

/** Parts of the text: where they begin and end. */
interface Findings {
  readonly shown: (readonly [begin: number, end: number])[];
  readonly hidden: (readonly [begin: number, end: number])[];
  readonly secrets: Set<string>;
}

function walk(node: YamlNode, schema: FieldSchema | undefined, field: string | undefined, found: Findings): void {
  switch (node.kind) {
    case "scalar":
      scalar(node, schema, field, found);
      break;
    case "list":
      for (const item of node.items) walk(item, schema && itemSchema(schema), field, found);
      break;
    case "mapping":
      for (const [key, { value }] of node.entries) walk(value, schema && fieldSchema(schema, key), key, found);
      break;
    default:
      node satisfies never;
  }
}

function scalar({ event, text }: YamlScalar, schema: FieldSchema | undefined, field: string | undefined, found: Findings): void {
  const { valueStart, valueEnd } = event;
  if (valueEnd <= valueStart) return;
  if (field === passwordField) {
    found.hidden.push([valueStart, valueEnd]);
    found.secrets.add(text);
  } else if (schema !== undefined) found.shown.push([valueStart, valueEnd]);
}

function rewritten(text: string, { shown, hidden }: Findings, names: ReadonlySet<string>): string {
  const parts = [
    ...shown.map(([begin, end]) => ({ begin, end, isShown: true })),
    ...hidden.map(([begin, end]) => ({ begin, end, isShown: false })),
  ];
  let result = "";
  let at = 0;
  // An alias has its text elsewhere, once: hidden where any field of that text is a password.
  for (const { begin, end, isShown } of parts.sort((a, b) => a.begin - b.begin || Number(a.isShown) - Number(b.isShown))) {
    if (begin < at) continue;
    result += masked(text.slice(at, begin), names) + (isShown ? text.slice(begin, end) : hiddenText(text.slice(begin, end)));
    at = end;
  }
  return result + masked(text.slice(at), names);
}

/** Keeps the number of lines. */
function hiddenText(text: string): string {
  return mark + "\n".repeat(text.split("\n").length - 1);
}

/** Replaces each word that is no name of a field by `x` of its length. */
function masked(text: string, names: ReadonlySet<string>): string {
  return text.replace(/[\p{L}\p{N}\p{M}_-]+/gu, (found) =>
    names.has(found) ? found : found.replace(word, (each) => "x".repeat(each.length)),
  );
}

/** The names of all fields. */
const fieldNames: ReadonlySet<string> = namesOf(rootSchema);

function namesOf(schema: FieldSchema): Set<string> {
  return namesIn(schema, new Set(), new Set());
}

function namesIn(schema: FieldSchema, names: Set<string>, seen: Set<FieldSchema>): Set<string> {
  if (seen.has(schema)) return names;
  seen.add(schema);
  for (const name of Object.keys(schema.properties ?? {})) {
    names.add(name);
    const field = fieldSchema(schema, name);
    if (field !== undefined) namesIn(field, names, seen);
  }
  for (const inner of [itemSchema(schema), fieldSchema(schema, "\0")]) if (inner !== undefined) namesIn(inner, names, seen);
  return names;
}

import { Ajv, type ErrorObject, type ValidateFunction } from "ajv";
import { limits } from "./limits.ts";
import { nearestName } from "./nearest-name.ts";
import { type Path, quote } from "./problem.ts";
import type { RawConfig } from "./raw.ts";
import type { Report } from "./report.ts";
import { configSchema, type FieldSchema } from "./schema.ts";
import { describe, TooManyValues, type YamlNode, type YamlScalar } from "./yaml-tree.ts";

/**
 * Reads the values as the types that the schema names, reports all that does not fit it, and leaves that out of the result.
 * Text is whatever was written, quoted or not; numbers and booleans have to be plain; empty fields are as if absent.
 */
export function readShape(root: YamlNode, report: Report): RawConfig {
  const values = new Values();
  const data = values.read(root, configSchema);
  const validate = validator();
  if (validate(data)) return data as RawConfig;
  const errors = validate.errors ?? [];
  validate.errors = null; // The compiled function lives on, and would keep them.
  for (const error of errors) reportMismatch(error, root, report);
  if (root.kind !== "mapping") return {};
  for (const error of errors) removeMismatch(error, data);
  return data as RawConfig;
}

let compiled: ValidateFunction | undefined; // Compiling takes some 20 ms: not at import, and once.

function validator(): ValidateFunction {
  compiled ??= new Ajv({ allErrors: true, verbose: true }).compile(configSchema);
  return compiled;
}

class Values {
  #count = 0;

  read(node: YamlNode, schema: FieldSchema): unknown {
    if (++this.#count > limits.values) throw new TooManyValues(node.offset);
    if (node.kind === "scalar") return scalar(node, schema.type);
    if (node.kind === "list") return schema.type === "array" ? node.items.map((item) => this.#item(item, schema.items)) : [];
    const fields: Record<string, unknown> = Object.create(null); // No prototype: `__proto__` is a key like any other.
    if (schema.type !== "object") return fields;
    for (const [key, { value }] of node.entries) {
      const known = schema.properties === undefined ? undefined : field(schema.properties, key);
      if (known !== undefined) {
        if (!isEmpty(value)) fields[key] = this.read(value, known);
      } else if (typeof schema.additionalProperties === "object") fields[key] = this.#item(value, schema.additionalProperties);
      else fields[key] = null; // Unknown, whatever it holds.
    }
    return fields;
  }

  /** An empty value in a list or a map is the zero value of its type, as in yaml.v2: `match-labels: {worker: }` is common. */
  #item(node: YamlNode, schema: FieldSchema | undefined): unknown {
    if (schema === undefined) return null;
    if (!isEmpty(node)) return this.read(node, schema);
    return schema.type === "string" ? "" : Object.create(null);
  }
}

function field(properties: Readonly<Record<string, FieldSchema>>, name: string): FieldSchema | undefined {
  return Object.hasOwn(properties, name) ? properties[name] : undefined;
}

function isEmpty(node: YamlNode): boolean {
  return node.kind === "scalar" && node.value === null;
}

function scalar(node: YamlScalar, type: FieldSchema["type"] | undefined): unknown {
  if (type === "string") return node.text;
  // A number with a point is not taken for an integer even where it is one, because `1.0` as an AS number may mean 65536.
  if (type === "integer" && typeof node.value === "number" && node.text.includes(".")) return node.text;
  return node.value;
}

function reportMismatch(error: ErrorObject, root: YamlNode, report: Report): void {
  const { path, node } = follow(error.instancePath, root);
  const schema = error.parentSchema as FieldSchema;
  if (error.keyword === "additionalProperties") {
    const name = String(error.params.additionalProperty);
    report.errorAtKey([...path, name], `unknown field ${quote(name)}; ${fieldHint(name, Object.keys(schema.properties ?? {}))}`);
  } else if (error.keyword === "required") {
    report.error([...path, String(error.params.missingProperty)], "required, but missing");
  } else if (error.keyword === "minItems") {
    report.error(path, "must not be an empty list");
  } else if (error.keyword !== "enum" || typeof error.data === "string") {
    // Otherwise its type is reported too.
    const found = node === undefined ? "empty" : describe(node);
    report.error(path, `must be ${allowed(schema)}, but is ${found}${valueHint(path, schema, node)}`);
  }
}

function fieldHint(name: string, known: readonly string[]): string {
  const near = nearestName(name, known);
  return near === undefined ? `the fields here are ${known.join(", ")}` : `did you mean ${quote(near)}?`;
}

function allowed(schema: FieldSchema): string {
  if (schema.enum !== undefined) return schema.enum.map(quote).join(" or ");
  switch (schema.type) {
    case "object":
      return "a mapping";
    case "array":
      return "a list";
    case "string":
      return schema.minLength === undefined ? "text" : "text that is not empty";
    case "integer":
      return `a whole number from ${schema.minimum} to ${schema.maximum}`;
    case "boolean":
      return "true or false";
  }
}

function valueHint(path: Path, schema: FieldSchema, node: YamlNode | undefined): string {
  if (node?.kind !== "scalar") return "";
  if (schema.enum !== undefined) {
    const near = nearestName(node.text, schema.enum);
    return near === undefined ? "" : `; did you mean ${quote(near)}?`;
  }
  const asdot = /^(\d{1,5})\.(\d{1,5})$/.exec(node.text);
  if (asdot === null || !String(path.at(-1)).endsWith("-asn")) return "";
  const number = Number(asdot[1]) * 65536 + Number(asdot[2]); // RFC 5396, section 2.
  return `; AS ${node.text} in the dotted notation is ${number}`;
}

function removeMismatch(error: ErrorObject, data: unknown): void {
  if (error.keyword === "required" || error.keyword === "additionalProperties") return; // The mapping around it can be used.
  const steps = stepsOf(error.instancePath);
  const last = steps.pop();
  let holder = data as Record<string, unknown>;
  for (const step of steps) holder = holder[step] as Record<string, unknown>;
  if (last !== undefined) holder[last] = undefined;
}

function follow(pointer: string, root: YamlNode): { path: Path; node: YamlNode | undefined } {
  const path: (string | number)[] = [];
  let node: YamlNode | undefined = root;
  for (const step of stepsOf(pointer)) {
    if (node?.kind === "list") {
      path.push(Number(step));
      node = node.items[Number(step)];
    } else {
      path.push(step);
      node = node?.kind === "mapping" ? node.entries.get(step)?.value : undefined;
    }
  }
  return { path, node };
}

/** The steps of a JSON pointer (RFC 6901, sections 3 and 4). */
function stepsOf(pointer: string): string[] {
  return pointer
    .split("/")
    .slice(1)
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
}

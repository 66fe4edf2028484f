import { Ajv, type ErrorObject, type ValidateFunction } from "ajv";
import { limits, TooManyValues } from "./limits.ts";
import { reportMismatch, stepsOf } from "./mismatch.ts";
import type { RawConfig } from "./raw.ts";
import type { Report } from "./report.ts";
import { configSchema, type FieldSchema } from "./schema.ts";
import type { YamlNode, YamlScalar } from "./yaml-node.ts";

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

function scalar(node: YamlScalar, type: FieldSchema["type"]): unknown {
  if (type === "string") return node.text;
  // A number with a point is not taken for an integer even where it is one, because `1.0` as an AS number may mean 65536.
  if (type === "integer" && typeof node.value === "number" && node.text.includes(".")) return node.text;
  return node.value;
}

function removeMismatch(error: ErrorObject, data: unknown): void {
  if (error.keyword === "required" || error.keyword === "additionalProperties") return; // The mapping around it can be used.
  const steps = stepsOf(error.instancePath);
  const last = steps.pop();
  let holder = data as Record<string, unknown>;
  for (const step of steps) holder = holder[step] as Record<string, unknown>;
  if (last !== undefined) holder[last] = undefined;
}

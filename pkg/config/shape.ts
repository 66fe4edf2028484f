import { limits, TooManyValues } from "./limits.ts";
import { mismatch, unknownField } from "./mismatch.ts";
import type { Path } from "./problem.ts";
import type { RawConfig } from "./raw.ts";
import type { Report } from "./report.ts";
import { configSchema, type FieldSchema } from "./schema.ts";
import type { YamlEntry, YamlNode, YamlScalar } from "./yaml-node.ts";

/**
 * Reads the values as the types that the schema names, reports all that does not fit it, and leaves that out of the result.
 * Text is whatever was written, quoted or not; numbers and booleans have to be plain; empty fields are as if absent.
 */
export function readShape(root: YamlNode, report: Report): RawConfig {
  return (new Shape(report).read(root, configSchema, []) ?? {}) as RawConfig;
}

const noEntries: ReadonlyMap<string, YamlEntry> = new Map();

/** Not by a library that compiles schemas: the program that it makes of this one would stay in memory, 13 MB in every process. */
class Shape {
  readonly #report: Report;
  #count = 0;

  constructor(report: Report) {
    this.#report = report;
  }

  /** @returns undefined for what does not fit, once it is reported */
  read(node: YamlNode, schema: FieldSchema, path: Path): unknown {
    if (++this.#count > limits.values) throw new TooManyValues(node.offset);
    if (node.kind === "mapping" && schema.type === "object") return this.#mapping(node.entries, schema, path);
    if (node.kind === "list" && schema.type === "array") return this.#list(node.items, schema, path);
    const value = node.kind === "scalar" ? scalar(node, schema.type) : undefined;
    return fits(value, schema) ? value : this.#refuse(node, schema, path);
  }

  #mapping(entries: ReadonlyMap<string, YamlEntry>, schema: FieldSchema, path: Path): Record<string, unknown> {
    for (const name of schema.required ?? []) {
      const entry = entries.get(name);
      if (entry === undefined || isEmpty(entry.value)) this.#report.error([...path, name], "required, but missing");
    }
    const { properties = {}, additionalProperties } = schema;
    const fields: Record<string, unknown> = Object.create(null); // No prototype: `__proto__` is a key like any other.
    for (const [key, { value }] of entries) {
      const known = Object.hasOwn(properties, key) ? properties[key] : undefined;
      if (known !== undefined) {
        if (!isEmpty(value)) fields[key] = this.read(value, known, [...path, key]);
      } else if (additionalProperties) fields[key] = this.#item(value, additionalProperties, [...path, key]);
      else this.#report.errorAtKey([...path, key], unknownField(key, Object.keys(properties)));
    }
    return fields;
  }

  #list(nodes: readonly YamlNode[], { items, minItems = 0 }: FieldSchema, path: Path): readonly unknown[] | undefined {
    if (nodes.length < minItems) {
      this.#report.error(path, "must not be an empty list");
      return undefined;
    }
    return nodes.map((node, index) => items && this.#item(node, items, [...path, index]));
  }

  /** An empty value in a list or a map is the zero value of its type, as in yaml.v2: `match-labels: {worker: }` is common. */
  #item(node: YamlNode, schema: FieldSchema, path: Path): unknown {
    if (!isEmpty(node)) return this.read(node, schema, path);
    if (schema.type === "object") return this.#mapping(noEntries, schema, path);
    return fits("", schema) ? "" : this.#refuse(node, schema, path);
  }

  #refuse(node: YamlNode, schema: FieldSchema, path: Path): undefined {
    this.#report.error(path, mismatch(node, schema, path));
  }
}

function isEmpty(node: YamlNode): boolean {
  return node.kind === "scalar" && node.value === null;
}

function scalar(node: YamlScalar, type: FieldSchema["type"]): unknown {
  if (type === "string") return node.text;
  // A number with a point is not taken for an integer even where it is one, because `1.0` as an AS number may mean 65536.
  if (type === "integer" && node.text.includes(".")) return undefined;
  return node.value;
}

function fits(value: unknown, schema: FieldSchema): boolean {
  const { minLength = 0, minimum = -Infinity, maximum = Infinity } = schema;
  switch (schema.type) {
    case "string":
      return typeof value === "string" && value.length >= minLength && (schema.enum === undefined || schema.enum.includes(value));
    case "integer":
      return typeof value === "number" && Number.isInteger(value) && value >= minimum && value <= maximum;
    case "boolean":
      return typeof value === "boolean";
    default:
      return false;
  }
}

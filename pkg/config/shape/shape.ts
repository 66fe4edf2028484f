import { quote } from "#pkg/text";
import { limits, TooManyValues } from "../limits.ts";
import { nearestName, type Path, type Problems } from "../problems.ts";
import { describe, type YamlEntry, type YamlNode, type YamlScalar } from "../yaml/node.ts";
import type { RawConfig } from "./raw.ts";
import { configSchema, type FieldSchema } from "./schema.ts";

/**
 * Reads the values as the types that the schema names, reports all that does not fit it, and leaves that out of the result.
 * Text is whatever was written, quoted or not; numbers and booleans have to be plain; empty fields are as if absent.
 */
export function readShape(root: YamlNode, problems: Problems): RawConfig {
  return (new Shape(problems).read(root, configSchema, []) ?? {}) as RawConfig;
}

const noEntries: ReadonlyMap<string, YamlEntry> = new Map();

/** Not by a library that compiles schemas: the program that it makes of this one would stay in memory, 13 MB in every process. */
class Shape {
  readonly #problems: Problems;
  #count = 0;

  constructor(problems: Problems) {
    this.#problems = problems;
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
      if (entry === undefined || isEmpty(entry.value)) this.#problems.error([...path, name], "required, but missing");
    }
    const { properties = {}, additionalProperties } = schema;
    const fields: Record<string, unknown> = Object.create(null); // No prototype: `__proto__` is a key like any other.
    for (const [key, { value }] of entries) {
      const known = Object.hasOwn(properties, key) ? properties[key] : undefined;
      if (known !== undefined) {
        if (!isEmpty(value)) fields[key] = this.read(value, known, [...path, key]);
      } else if (additionalProperties) fields[key] = this.#item(value, additionalProperties, [...path, key]);
      else this.#problems.errorAtKey([...path, key], unknownField(key, Object.keys(properties)));
    }
    return fields;
  }

  #list(nodes: readonly YamlNode[], { items, minItems = 0 }: FieldSchema, path: Path): readonly unknown[] | undefined {
    if (nodes.length < minItems) {
      this.#problems.error(path, "must not be an empty list");
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
    this.#problems.error(path, mismatch(node, schema, path));
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

/** What is wrong with a value that does not fit. */
export function mismatch(node: YamlNode, schema: FieldSchema, path: Path): string {
  return `must be ${allowed(schema)}, but is ${describe(node)}${valueHint(path, schema, node)}`;
}

/** @param known the fields that there are in its place */
export function unknownField(name: string, known: readonly string[]): string {
  return `unknown field ${quote(name)}; ${fieldHint(name, known)}`;
}

function fieldHint(name: string, known: readonly string[]): string {
  const near = nearestName(name, known);
  return near === undefined ? `the fields here are ${known.join(", ")}` : `did you mean "${near}"?`;
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

function valueHint(path: Path, schema: FieldSchema, node: YamlNode): string {
  if (node.kind !== "scalar") return "";
  if (schema.enum !== undefined) {
    const near = nearestName(node.text, schema.enum);
    return near === undefined ? "" : `; did you mean ${quote(near)}?`;
  }
  const asdot = /^(\d{1,5})\.(\d{1,5})$/.exec(node.text);
  if (asdot === null || !String(path.at(-1)).endsWith("-asn")) return "";
  const number = Number(asdot[1]) * 65536 + Number(asdot[2]); // RFC 5396, section 2.
  return `; AS ${node.text} in the dotted notation is ${number}`;
}

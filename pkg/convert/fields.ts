import type { YamlNode } from "#pkg/config";
import { quote } from "#pkg/text";
import type { SourceText } from "./source-text.ts";

/** The part of OpenAPI 3 that the schemas of custom resources here use. */
export interface Schema {
  readonly type: "object" | "array" | "string" | "integer" | "boolean";
  readonly properties?: Properties;
  readonly required?: readonly string[];
  /** Schema of each value of an object without `properties`. */
  readonly additionalProperties?: Schema;
  readonly items?: Schema;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  /** The fault of an object whose fields fit, and the field that has it. */
  readonly check?: (value: object) => { readonly field: string; readonly message: string } | undefined;
}

type Properties = Readonly<Record<string, Schema>>; // field -> its schema

export const text = { type: "string" } as const;
export const flag = { type: "boolean" } as const;
export const textMap = { type: "object", additionalProperties: text } as const;

export function oneOf<const Words extends readonly string[]>(...words: Words) {
  return { type: "string", enum: words } as const;
}

export function integer(minimum = -Infinity, maximum = Infinity) {
  return { type: "integer", minimum, maximum } as const;
}

export function array<const Items extends Schema>(items: Items) {
  return { type: "array", items } as const;
}

export function object<const Fields extends Properties, const Required extends readonly string[]>(
  properties: Fields,
  ...required: Required
) {
  return { type: "object", properties, required } as const;
}

/** The type of values that fit a schema. */
export type Fitting<S> = S extends { readonly enum: readonly (infer Word)[] }
  ? Word
  : S extends { readonly type: "string" }
    ? string
    : S extends { readonly type: "integer" }
      ? number
      : S extends { readonly type: "boolean" }
        ? boolean
        : S extends { readonly items: infer Item }
          ? readonly Fitting<Item>[]
          : S extends { readonly properties: infer Fields }
            ? { readonly [Name in keyof Fields]?: Fitting<Fields[Name]> } & RequiredOf<S, Fields>
            : S extends { readonly additionalProperties: infer Value }
              ? Readonly<Record<string, Fitting<Value>>>
              : never;

type RequiredOf<S, Fields> = S extends { readonly required: readonly (infer Name)[] }
  ? { readonly [Each in Name & keyof Fields]: Fitting<Fields[Each]> }
  : unknown;

type Step = string | number;
type Path = readonly Step[];

/** Where a value is read. */
export interface Reading {
  readonly source: SourceText;
  /** Is told of each field that the schema does not have: of a newer release, or misspelt. */
  readonly unknown: (path: Path, value: YamlNode) => void;
}

/**
 * Reads a value as its schema says; absent, and null, is undefined. Reports a misfit as an error with its place, and leaves the value out.
 * Never throws, for any text.
 */
export function readValue(node: YamlNode, schema: Schema, path: Path, reading: Reading): unknown {
  if (node.kind === "scalar" && node.value === null) return undefined;
  const refuse = (wanted: string): undefined => {
    const found = node.kind === "scalar" ? quote(node.text) : node.kind === "list" ? "a list" : "a mapping";
    reading.source.problems.errorAt(node.offset, path, `must be ${wanted}, but is ${found}`);
    return undefined;
  };
  switch (schema.type) {
    case "object":
      return node.kind === "mapping" ? readObject(node, schema, path, reading) : refuse("a mapping");
    case "array": {
      if (node.kind !== "list") return refuse("a list");
      const { items } = schema;
      if (items === undefined) return [];
      return node.items
        .map((item, index) => readValue(item, items, [...path, index], reading))
        .filter((item) => item !== undefined);
    }
    case "string":
      if (node.kind !== "scalar") return refuse("text");
      if (schema.enum !== undefined && !schema.enum.includes(node.text)) return refuse(schema.enum.map(quote).join(" or "));
      return node.text.length < (schema.minLength ?? 0) ? refuse("text that is not empty") : node.text;
    case "integer": {
      const { minimum = -Infinity, maximum = Infinity } = schema;
      const value = node.kind === "scalar" ? node.value : undefined;
      const fits = typeof value === "number" && Number.isInteger(value) && value >= minimum && value <= maximum;
      return fits ? value : refuse(`a whole number from ${minimum} to ${maximum}`);
    }
    case "boolean":
      return node.kind === "scalar" && typeof node.value === "boolean" ? node.value : refuse("true or false");
  }
}

function readObject(node: YamlNode & { kind: "mapping" }, schema: Schema, path: Path, reading: Reading): object {
  const { properties, additionalProperties, required = [] } = schema;
  const fields: Record<string, unknown> = Object.create(null); // No prototype: `__proto__` is a key like any other.
  for (const [name, { value }] of node.entries) {
    const known =
      properties === undefined ? additionalProperties : Object.hasOwn(properties, name) ? properties[name] : undefined;
    const read = known === undefined ? undefined : readValue(value, known, [...path, name], reading);
    if (read !== undefined) fields[name] = read;
    if (known === undefined && properties !== undefined) reading.unknown([...path, name], value);
  }
  for (const name of required)
    if (!node.entries.has(name)) reading.source.problems.errorAt(node.offset, [...path, name], "required, but missing");
  const wrong = schema.check?.(fields);
  if (wrong !== undefined) {
    const offset = node.entries.get(wrong.field)?.value.offset ?? node.offset;
    reading.source.problems.errorAt(offset, [...path, wrong.field], wrong.message);
  }
  return fields;
}

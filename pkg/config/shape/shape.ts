import { quote } from "#pkg/text";
import { limits, TooLarge } from "../limits.ts";
import { nearestName, type Path, type Problems } from "../problems.ts";
import { describe, type YamlEntry, type YamlNode, type YamlScalar } from "../yaml/node.ts";
import type { RawConfig } from "./raw.ts";
import { type FieldSchema, fieldSchema, itemSchema, type Misfit, misfits, rootSchema, type TypeName, takes } from "./schema.ts";

/**
 * Reads the values as the types that the schema names, reports misfits, and leaves them out of the result. Any scalar counts as text,
 * quoted or not; numbers and booleans have to be plain; empty fields count as absent.
 */
export function readShape(root: YamlNode, problems: Problems): RawConfig {
  const shape: { root: unknown } = { root: new InstanceReader().read(root, rootSchema) };
  const refused = new Set<string>(); // JSON pointers of values: a second reason against one is no news.
  for (const misfit of misfits(shape.root)) {
    const place = locate(misfit.instancePath, root, shape);
    if (misfit.params.missingProperty !== undefined)
      problems.error([...place.path, misfit.params.missingProperty], "required, but missing");
    else if (misfit.params.additionalProperty !== undefined) refuseField(place, misfit.params.additionalProperty, problems);
    else if (!refused.has(misfit.instancePath) && !isOfAnother(misfit, place)) {
      refused.add(misfit.instancePath);
      refuseValue(place, misfit, problems);
    }
  }
  return (shape.root ?? {}) as RawConfig;
}

/** Where a value may be a list, ajv also reports that a list does not fit the other alternatives. */
function isOfAnother({ keyword }: Misfit, { node, schema }: ValuePlace): boolean {
  return keyword !== "minItems" && node.kind === "list" && schema.anyOf !== undefined && itemSchema(schema) !== undefined;
}

type Values = Record<string | number, unknown>;

const noEntries: ReadonlyMap<string, YamlEntry> = new Map();

/**
 * Turns the text's values into an instance for the schema. A value of another type than the schema wants becomes null, which no schema
 * takes. Fields that the schema does not know are there, as null, so that they are found.
 */
class InstanceReader {
  #values = 0;
  #characters = 0;

  read(node: YamlNode, schema: FieldSchema): unknown {
    if (++this.#values > limits.values) throw new TooLarge(node.offset, limits.values, "values");
    if (node.kind === "scalar") this.#charge(node, node.text);
    if (node.kind === "mapping") return takes(schema, "object") ? this.#mapping(node.entries, schema) : null;
    if (node.kind === "list") return itemSchema(schema) === undefined ? null : this.#list(node.items, schema);
    return scalar(node, schema);
  }

  #mapping(entries: ReadonlyMap<string, YamlEntry>, schema: FieldSchema): Values {
    const fields: Values = Object.create(null); // No prototype: `__proto__` is a key like any other.
    const isMap = schema.properties === undefined;
    for (const [key, { value }] of entries) {
      this.#charge(value, key);
      const known = fieldSchema(schema, key);
      if (known === undefined) fields[key] = null;
      else if (isMap) fields[key] = this.#item(value, known);
      else if (!isEmpty(value)) fields[key] = this.read(value, known);
      else if (known.minItems !== undefined) fields[key] = []; // A list that says who may must not be absent by mistake.
    }
    return fields;
  }

  #list(nodes: readonly YamlNode[], schema: FieldSchema): unknown[] {
    const items = itemSchema(schema);
    return nodes.map((node) => items && this.#item(node, items));
  }

  #charge({ offset }: YamlNode, text: string): void {
    this.#characters += text.length;
    if (this.#characters > limits.characters) throw new TooLarge(offset, limits.characters, "characters");
  }

  /** An empty value in a list or a map is the zero value of its type, as in yaml.v2: `match-labels: {worker: }` is common. */
  #item(node: YamlNode, schema: FieldSchema): unknown {
    if (!isEmpty(node)) return this.read(node, schema);
    if (schema.type === "object") return this.#mapping(noEntries, schema);
    return takes(schema, "string") ? "" : null;
  }
}

function isEmpty(node: YamlNode): boolean {
  return node.kind === "scalar" && node.value === null;
}

function scalar(node: YamlScalar, schema: FieldSchema): unknown {
  const alternatives = schema.anyOf ?? [schema];
  const isNumber = alternatives.some((one) => takes(one, "integer"));
  if (!isNumber && alternatives.some((one) => takes(one, "string"))) return node.text;
  // A number with a point is not taken for an integer even where it is one, because `1.0` as an AS number may mean 65536.
  return isNumber && typeof node.value === "number" && node.text.includes(".") ? null : node.value;
}

/** One value: in the text, in the schema, and in the result, where it is `holder[key]`. */
interface ValuePlace {
  readonly path: Path;
  readonly node: YamlNode;
  readonly schema: FieldSchema;
  readonly holder: Values;
  readonly key: string | number;
}

function locate(pointer: string, root: YamlNode, shape: { root: unknown }): ValuePlace {
  const path: (string | number)[] = [];
  let place: Omit<ValuePlace, "path"> = { node: root, schema: rootSchema, holder: shape, key: "root" };
  for (const escaped of pointer.split("/").slice(1)) {
    const { node } = place;
    const key = node.kind === "list" ? Number(escaped) : escaped.replaceAll("~1", "/").replaceAll("~0", "~");
    const next = node.kind === "list" ? node.items[Number(key)] : node.kind === "mapping" && node.entries.get(String(key))?.value;
    const schema = node.kind === "list" ? itemSchema(place.schema) : fieldSchema(place.schema, String(key));
    if (!next || schema === undefined) throw new Error(`Cannot find value: no ${pointer} in the configuration`);
    path.push(key);
    place = { node: next, schema, holder: place.holder[place.key] as Values, key };
  }
  return { path, ...place };
}

function refuseField({ path, schema, holder, key }: ValuePlace, name: string, problems: Problems): void {
  problems.errorAtKey([...path, name], () => unknownField(name, Object.keys(schema.properties ?? {})));
  delete (holder[key] as Values)[name];
}

function refuseValue({ path, node, schema, holder, key }: ValuePlace, { keyword }: Misfit, problems: Problems): void {
  problems.error(path, () => (keyword === "minItems" ? "must not be an empty list" : mismatch(node, schema, path)));
  holder[key] = undefined; // In a list it keeps its place, so that positions stay true.
}

/** Says why a value does not fit. */
function mismatch(node: YamlNode, schema: FieldSchema, path: Path): string {
  return `must be ${allowed(schema)}, but is ${describe(node)}${valueHint(path, schema, node)}`;
}

/** @param known the fields that there are in its place */
function unknownField(name: string, known: readonly string[]): string {
  return `unknown field ${quote(name)}; ${fieldHint(name, known)}`;
}

function fieldHint(name: string, known: readonly string[]): string {
  const near = nearestName(name, known);
  return near === undefined ? `the fields here are ${known.join(", ")}` : `did you mean "${near}"?`;
}

function allowed(schema: FieldSchema): string {
  if (schema.anyOf !== undefined) return schema.anyOf.map(allowed).join(", or ");
  if (schema.enum !== undefined) return schema.enum.map(quote).join(" or ");
  const { type } = schema;
  if (type === undefined) throw new Error("Cannot say what is allowed: the schema has neither a type nor alternatives");
  return typeof type === "object" ? type.map((each) => allowedOf(each, schema)).join(", or ") : allowedOf(type, schema);
}

function allowedOf(type: TypeName, schema: FieldSchema): string {
  switch (type) {
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
  const words = [schema, ...(schema.anyOf ?? [])].flatMap((each) => each.enum ?? []);
  const near = nearestName(node.text, words);
  if (near !== undefined) return `; did you mean ${quote(near)}?`;
  const asdot = /^(\d{1,5})\.(\d{1,5})$/.exec(node.text);
  if (asdot === null || !String(path.at(-1)).endsWith("-asn")) return "";
  const number = Number(asdot[1]) * 65536 + Number(asdot[2]); // RFC 5396, section 2.
  return `; AS ${node.text} in the dotted notation is ${number}`;
}

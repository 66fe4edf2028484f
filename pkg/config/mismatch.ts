import { nearestName } from "./nearest-name.ts";
import { type Path, quote } from "./problem.ts";
import type { FieldSchema } from "./schema.ts";
import { describe, type YamlNode } from "./yaml-node.ts";

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

import type { ErrorObject } from "ajv";
import { nearestName } from "./nearest-name.ts";
import { type Path, quote } from "./problem.ts";
import type { Report } from "./report.ts";
import type { FieldSchema } from "./schema.ts";
import { describe, type YamlNode } from "./yaml-node.ts";

/** Says in our words what JSON Schema found wrong, and where. */
export function reportMismatch(error: ErrorObject, root: YamlNode, report: Report): void {
  const { path, node } = follow(error.instancePath, root);
  const schema = error.parentSchema as FieldSchema;
  if (error.keyword === "additionalProperties") {
    const name = String(error.params.additionalProperty);
    report.errorAtKey([...path, name], `unknown field ${quote(name)}; ${fieldHint(name, Object.keys(schema.properties ?? {}))}`);
  } else if (error.keyword === "required") {
    report.error([...path, String(error.params.missingProperty)], "required, but missing");
  } else if (error.keyword === "minItems") {
    report.error(path, "must not be an empty list");
  } else {
    if (error.keyword === "enum" && typeof error.data !== "string") return; // Its type is reported already.
    const found = node === undefined ? "empty" : describe(node);
    report.error(path, `must be ${allowed(schema)}, but is ${found}${valueHint(path, schema, node)}`);
  }
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
export function stepsOf(pointer: string): string[] {
  return pointer
    .split("/")
    .slice(1)
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
}

import { SCALAR_STYLE, type ScalarEvent } from "js-yaml";
import { quote, shorten } from "#pkg/text";
import { resolveScalar, type ScalarValue } from "./scalar.ts";

/** A value of the text, with aliases and merge keys followed, so that the same node can sit in several places. */
export type YamlNode = YamlScalar | YamlList | YamlMapping;

export interface YamlScalar {
  readonly kind: "scalar";
  /** Where it begins; for an empty value, where its key or list does. */
  readonly offset: number;
  readonly text: string;
  /** The meaning of the text: always text when it is quoted. */
  readonly value: ScalarValue;
  readonly event: ScalarEvent;
}

export interface YamlList {
  readonly kind: "list";
  readonly offset: number;
  readonly items: readonly YamlNode[];
}

export interface YamlMapping {
  readonly kind: "mapping";
  readonly offset: number;
  readonly entries: ReadonlyMap<string, YamlEntry>; // key -> entry
}

export interface YamlEntry {
  readonly offset: number;
  readonly value: YamlNode;
  /** Whether `<<` brought it here. */
  readonly merged: boolean;
}

const quoted = { style: SCALAR_STYLE.DOUBLE_QUOTED } as ScalarEvent; // Text that is text, whatever it looks like.
const plain = { style: SCALAR_STYLE.PLAIN } as ScalarEvent;

/** The node as which the text of a value would be read, without places in the text. Fields that are undefined are not there. */
export function nodeOf(value: unknown): YamlNode {
  if (Array.isArray(value)) return { kind: "list", offset: 0, items: value.map(nodeOf) };
  if (typeof value === "object" && value !== null) {
    const fields = Object.entries(value).filter(([, field]) => field !== undefined);
    const entries = fields.map(([name, field]) => [name, { offset: 0, value: nodeOf(field), merged: false }] as const);
    return { kind: "mapping", offset: 0, entries: new Map(entries) };
  }
  if (typeof value === "string") return { kind: "scalar", offset: 0, text: value, value, event: quoted };
  return { kind: "scalar", offset: 0, text: String(value), value: value as ScalarValue, event: plain };
}

/** The text of the scalar at a path of keys; empty if there is no such scalar. */
export function textAt(node: YamlNode | undefined, ...path: readonly string[]): string {
  return scalarAt(node, path)?.text ?? "";
}

/** The value of the scalar at a path of keys; undefined if there is no such scalar. */
export function valueAt(node: YamlNode | undefined, ...path: readonly string[]): ScalarValue | undefined {
  return scalarAt(node, path)?.value;
}

function scalarAt(node: YamlNode | undefined, path: readonly string[]): YamlScalar | undefined {
  let found = node;
  for (const key of path) found = found?.kind === "mapping" ? found.entries.get(key)?.value : undefined;
  return found?.kind === "scalar" ? found : undefined;
}

/** Names the kind of a value, for a message that refuses it. */
export function describe(node: YamlNode): string {
  if (node.kind === "list") return "a list";
  if (node.kind === "mapping") return "a mapping";
  if (node.value === null) return "empty";
  if (typeof node.value !== "string") return shorten(node.text);
  const unquoted = node.event.style === SCALAR_STYLE.PLAIN ? undefined : resolveScalar(node.text);
  const quotesMatter = typeof unquoted === "number" || typeof unquoted === "boolean";
  return `the text ${quote(node.text)}${quotesMatter ? " (quotes make it text)" : ""}`;
}

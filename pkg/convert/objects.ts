import { parseManifest, textAt, type YamlMapping, type YamlNode } from "#pkg/config";
import { list, quote } from "#pkg/text";
import { type Fitting, object, readValue, type Schema, text, textMap } from "./fields.ts";
import type { SourceText } from "./source-text.ts";

export interface ManifestObject {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly name: string;
  /** Empty where none is given. */
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly node: YamlMapping;
  readonly source: SourceText;
}

/** `Report`, as far as objects need it. */
interface ObjectReport {
  lose(what: ManifestObject, message: string, path?: Path): void;
  remark(what: ManifestObject, message: string, path?: Path): void;
  note(message: string): void;
}

/** How messages name an object. */
export function title({ kind, name }: Pick<ManifestObject, "kind" | "name">): string {
  return `${kind} ${quote(name)}`;
}

const metadataSchema = object(
  { name: { ...text, minLength: 1 }, namespace: text, labels: textMap, annotations: textMap },
  "name",
);

/** Every object of the sources, in order; Lists are followed. An object without a kind is refused. */
export function readObjects(sources: readonly SourceText[]): ManifestObject[] {
  return sources.flatMap((source) => {
    const documents = parseManifest(source.text, source.problems) ?? [];
    return documents.flatMap((document) => (document === undefined ? [] : objectsIn(document, source)));
  });
}

function objectsIn(node: YamlNode, source: SourceText): ManifestObject[] {
  const kind = textAt(node, "kind");
  if (node.kind !== "mapping" || kind === "") {
    source.problems.errorAt(
      node.offset,
      [],
      `must be an object of Kubernetes with "kind", but is ${node.kind === "mapping" ? "without one" : `a ${node.kind}`}`,
    );
    return [];
  }
  const items = node.entries.get("items")?.value;
  if (kind.endsWith("List") && items !== undefined)
    return items.kind === "list"
      ? items.items.flatMap((item) => objectIn(item, { kind, apiVersion: textAt(node, "apiVersion") }, source))
      : [];
  return objectIn(node, noList, source);
}

const noList = { kind: "", apiVersion: "" };

/** @param around the List, which says what its items are where these do not, as in answers of the API server */
function objectIn(
  node: YamlNode,
  around: { readonly kind: string; readonly apiVersion: string },
  source: SourceText,
): ManifestObject[] {
  if (node.kind !== "mapping") {
    source.problems.errorAt(node.offset, [], `must be an object of Kubernetes, but is a ${node.kind}`);
    return [];
  }
  const [version = "", group = ""] = (textAt(node, "apiVersion") || around.apiVersion).split("/").reverse();
  const kind = textAt(node, "kind") || around.kind.replace(/List$/, "");
  const metadata = node.entries.get("metadata")?.value;
  const read = metadata && readValue(metadata, metadataSchema, ["metadata"], { source, unknown: () => {} });
  const { name = "", namespace = "", labels = {}, annotations = {} } = (read ?? {}) as Partial<ManifestObject>;
  if (metadata === undefined) source.problems.errorAt(node.offset, ["metadata"], "required, but missing");
  return name === "" ? [] : [{ group, version, kind, name, namespace, labels, annotations, node, source }];
}

/** The object's `spec`, as the schema says. Fields that the schema does not have are losses. */
export function readSpec<S extends Schema>(of: ManifestObject, schema: S, report: ObjectReport): Partial<Fitting<S>> {
  const { node, source } = of;
  const spec = node.entries.get("spec")?.value;
  if (spec === undefined) {
    if (schema.required?.length) source.problems.errorAt(node.offset, ["spec"], "required, but missing");
    return {};
  }
  const unknown = (path: Path, value: YamlNode) =>
    (isUnset(value) ? report.remark : report.lose).call(report, of, `${path.join(".")} is not known here`, path);
  return (readValue(spec, schema, ["spec"], { source, unknown }) ?? {}) as Partial<Fitting<S>>;
}

/** Whether the value is one that means as much as its absence: a newer release's default, which the API server fills in. */
function isUnset(node: YamlNode): boolean {
  if (node.kind === "scalar") return node.value === null || node.value === false || node.value === 0 || node.text === "";
  return node.kind === "list" ? node.items.length === 0 : [...node.entries.values()].every(({ value }) => isUnset(value));
}

export type Path = readonly (string | number)[];

/** Refuses the object's field, with its place. */
export function refuse(object: ManifestObject, path: Path, message: string): void {
  object.source.problems.errorAt(offsetOf(object, path), path, `${title(object)}: ${message}`);
}

/** The same as a warning. */
export function warn(object: ManifestObject, path: Path, message: string): void {
  object.source.problems.warnAt(offsetOf(object, path), path, `${title(object)}: ${message}`);
}

function offsetOf(object: ManifestObject, path: Path): number {
  return nodeAt(object, path).offset;
}

/** The object's field, or what there is around it. */
export function nodeAt(object: ManifestObject, path: Path): YamlNode {
  let node: YamlNode = object.node;
  for (const step of path) {
    const next: YamlNode | undefined =
      node.kind === "mapping"
        ? node.entries.get(String(step))?.value
        : node.kind === "list"
          ? node.items[Number(step)]
          : undefined;
    if (next === undefined) break;
    node = next;
  }
  return node;
}

/**
 * The objects that one installation reads: those in the given namespace, or in the only namespace.
 * @returns the namespace, and them
 */
export function ofOneNamespace(
  objects: readonly ManifestObject[],
  wanted: string | undefined,
  report: ObjectReport,
): { readonly namespace: string; readonly objects: readonly ManifestObject[] } {
  const namespaces = [...new Set(objects.map(({ namespace }) => namespace).filter((name) => name !== ""))];
  const namespace = wanted ?? namespaces[0] ?? "metallb-system";
  const others = objects.filter((object) => object.namespace !== "" && object.namespace !== namespace);
  const [other] = others;
  if (other !== undefined && wanted === undefined)
    refuse(
      other,
      ["metadata", "namespace"],
      `the objects are in several namespaces, ${list(namespaces.map(quote))}; choose one with --namespace`,
    );
  else if (other !== undefined)
    report.note(`${others.length} objects are in other namespaces than ${quote(namespace)} and are left out.`);
  const those = objects.filter((object) => !others.includes(object));
  const seen = new Set<string>(); // kind and name
  for (const object of those) {
    const key = `${object.kind}/${object.name}`;
    if (seen.has(key)) refuse(object, ["metadata", "name"], "there is another one of this kind and name above");
    seen.add(key);
  }
  return { namespace, objects: those };
}

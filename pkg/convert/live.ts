import { dump, loadAll } from "js-yaml";
import {
  limits,
  type ParsedConfig,
  type Problem,
  Problems,
  parseConfig,
  parseManifest,
  readConfig,
  textAt,
  type YamlNode,
} from "#pkg/config";
import { isDeeper } from "#pkg/untrusted";
import { object, type Schema, text, textMap } from "./fields.ts";
import { fromMetallb } from "./metallb/from-metallb.ts";
import { schemas } from "./metallb/schemas.ts";
import { type ManifestObject, nodeAt, type Path, readObjects, refuse, title, warn } from "./objects.ts";
import { Report } from "./report.ts";
import { SourceText } from "./source-text.ts";

/** The part of an object that a configuration depends on. */
export interface LiveObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly namespace: string;
    readonly name: string;
    /** Where it is in the API. */
    readonly uid?: string;
    readonly generation?: number;
    /** Labels of pools, by which advertisements select them. */
    readonly labels?: Readonly<Record<string, unknown>>;
    readonly annotations?: Readonly<Record<string, unknown>>;
  };
  readonly spec?: unknown;
}

const group = "metallb.io";
const firstLine = "# MetalLB's custom resources\n";

/** An object as it stands in the text of a configuration. Equal objects have equal texts. */
export function liveObjectText({ apiVersion, kind, metadata: { namespace, name, labels }, spec }: LiveObject): string {
  const metadata = { namespace, name, ...(kind === "IPAddressPool" && labels !== undefined && { labels }) };
  const read = isDeeper(spec, maxDepth) ? "nested too deeply" : spec; // So the object itself is at fault, and the stack is enough.
  return `---\n${dump({ apiVersion, kind, metadata, spec: read }, { lineWidth: -1, noRefs: true, seqNoIndent: true, sortKeys: true })}`;
}

// Far more than any kind has: only a definition that keeps unknown fields lets more through.
const maxDepth = 20;

/** The text of a configuration of these objects, whatever the order in which they arrived. @param texts as `liveObjectText` writes them */
export function liveText(texts: Iterable<string>): string {
  return `${firstLine}${[...texts].sort().join("")}`;
}

/** The fields of an object's text. Only passwords among them are secrets. Kind -> schema. */
export const liveSchemas: ReadonlyMap<string, Schema> = new Map(
  Object.entries<Schema>(schemas).map(([kind, spec]) => [
    kind,
    object({ apiVersion: text, kind: text, metadata: object({ namespace: text, name: text, labels: textMap }), spec }),
  ]),
);

/** The kinds of the objects in a text; none in a ConfigMap's. */
export function liveKinds(text: string): ReadonlySet<string> {
  return new Set(text.startsWith(firstLine) ? Array.from(text.matchAll(/^kind: (\w+)$/gm), ([, kind = ""]) => kind) : []);
}

/**
 * Reads a configuration's text: what a ConfigMap has under its key, or MetalLB's custom resources as `liveText` writes them. Problems of
 * custom resources name the object, and the field in it.
 */
export function parseConfiguration(text: string): ParsedConfig {
  return text.startsWith(firstLine) ? parseCustomResources(text) : parseConfig(text);
}

/** The objects of this group in manifests, of which Lists are followed. @param namespace of those that name none @throws for text that is no YAML */
export function liveObjectsIn(manifests: string, namespace: string): LiveObject[] {
  const flat = (value: unknown): LiveObject[] => {
    const { items, ...object } = (value ?? {}) as Partial<LiveObject> & { readonly items?: readonly unknown[] };
    if (Array.isArray(items))
      return items.flatMap((item) => flat({ apiVersion: object.apiVersion, kind: object.kind?.replace(/List$/, ""), ...item }));
    const { apiVersion = "", kind = "", metadata } = object;
    if (!apiVersion.startsWith(`${group}/`) || metadata === undefined) return [];
    return [{ ...object, apiVersion, kind, metadata: { ...metadata, namespace: metadata.namespace || namespace } }];
  };
  return (loadAll(manifests) as unknown[]).flatMap(flat);
}

/**
 * Whether the documents of a manifest are such objects; what else is among them does not matter. Comments and texts inside other objects may name
 * them, too. A text that cannot be read counts as what it names.
 */
export function hasCustomResources(text: string): boolean {
  if (!/(^|[\s{,])"?apiVersion"?\s*:\s*["']?metallb\.io\//m.test(text)) return false;
  return parseManifest(text, new Problems())?.some(isCustomResource) ?? true;
}

function isCustomResource(node: YamlNode | undefined): boolean {
  if (node?.kind !== "mapping") return false;
  const items = node.entries.get("items")?.value;
  return textAt(node, "apiVersion").startsWith(`${group}/`) || (items?.kind === "list" && items.items.some(isCustomResource));
}

/** The configuration that MetalLB's custom resources are. An object counts until it is gone, also while it is being deleted. Never throws. */
export function parseCustomResources(text: string): ParsedConfig {
  const source = new SourceText({ name: "", text });
  if (text.length > limits.textLength)
    source.problems.errorAt(0, [], `the objects have ${text.length} characters, but at most ${limits.textLength} are read`);
  const objects = source.hasErrors ? [] : readObjects([source]).filter((object) => object.group === group);
  const report = new Report({ isLive: true });
  const { config } = fromMetallb(objects, [], { namespace: undefined, prefer: undefined }, report);
  if (source.hasErrors) return { problems: problemsOf(source, objects) };
  const parsed = readConfig(config);
  const reworded = (message: string) =>
    message
      .replaceAll(/\b(address-pools|peers)\[\d+\][\w.[\]-]*/g, (path) => nameOf(originOf(config, path, report)?.object) ?? path)
      .replaceAll(/\ban alias from bgp-communities\b/g, "a name from a Community")
      .replaceAll(ownFields, camelOf);
  for (const { severity, path, message } of parsed.problems) {
    const { object, field } = originOf(config, path, report) ?? {};
    if (object === undefined) source.problems[severity === "error" ? "errorAt" : "warnAt"](0, [], reworded(message));
    else (severity === "error" ? refuse : warn)(object, field ?? [], reworded(message));
  }
  const problems = problemsOf(source, objects);
  if (parsed.config === undefined || source.hasErrors) return { problems };
  const asking = parsed.namespaceLabels && originOf(config, parsed.namespaceLabels.path, report);
  return {
    config: parsed.config,
    problems,
    ...(asking && { namespaceLabels: placeOf(source, asking) }),
  };
}

interface Origin {
  readonly object: ManifestObject;
  readonly field: Path;
}

/** Each with the object that it is in: the last one that begins before it. */
function problemsOf(source: SourceText, objects: readonly ManifestObject[]): Problem[] {
  const places = objects.map((object) => ({ object, ...source.position(object.node.offset) }));
  return source.list().map(({ source: _, ...problem }) => {
    const isBefore = ({ line, column }: Pick<Problem, "line" | "column">) =>
      line < problem.line || (line === problem.line && column <= problem.column);
    const object = places.findLast(isBefore)?.object;
    if (object === undefined || (problem.line === 1 && problem.column === 1)) return problem;
    const own = withoutStart(problem.message, `${title(object)}: `);
    const message = withoutStart(own, problem.path.replace(/\[\d+\]$/, "")).replace(/^[: ]+/, "");
    return { ...problem, path: problem.path.replaceAll(ownFields, camelOf), message, object: nameOf(object) };
  });
}

function withoutStart(text: string, start: string): string {
  return text.startsWith(start) ? text.slice(start.length) : text;
}

/** Such as `IPAddressPool metallb-system/a`. */
function nameOf(object: ManifestObject): string;
function nameOf(object: ManifestObject | undefined): string | undefined;
function nameOf(object: ManifestObject | undefined): string | undefined {
  if (object === undefined) return undefined;
  const { kind, namespace, name } = object;
  return `${kind} ${namespace === "" ? "" : `${namespace}/`}${name}`;
}

function placeOf(source: SourceText, { object, field }: Origin): NonNullable<ParsedConfig["namespaceLabels"]> {
  const node = nodeAt(object, field);
  return { path: field.join("."), object: nameOf(object), ...source.position(node.offset) };
}

/** The object's field from which a field of the made configuration comes. */
function originOf(config: object, path: string, report: Report): Origin | undefined {
  let value: unknown = config;
  let found: { readonly objects: readonly ManifestObject[]; readonly rest: (string | number)[] } | undefined;
  for (const step of stepsOf(path)) {
    value = (value as Record<string | number, unknown> | undefined)?.[step];
    found?.rest.push(step);
    const objects = typeof value === "object" && value !== null ? report.origins.get(value) : undefined;
    if (objects !== undefined) found = { objects, rest: [] };
  }
  const [first] = found?.objects ?? [];
  if (found === undefined || first === undefined) return undefined;
  const { objects, rest } = found;
  const [name, ...within] = rest;
  if (first.kind === "Community") return communityOf(objects, String(name));
  if (name === undefined) return { object: first, field: [] };
  for (const object of objects)
    for (const field of fieldsOf(object, String(name))) {
      const node = nodeAt(object, field);
      if (node === object.node) continue;
      // The members of merged lists are in another order there.
      const at = node.kind === "list" ? node.items.findIndex((item) => item.kind === "scalar" && item.text === value) : -1;
      if (at >= 0) return { object, field: [...field, at] };
      if (typeof value !== "string" || typeof within[0] !== "number") return { object, field: [...field, ...within] };
    }
  return { object: first, field: fieldsOf(first, String(name))[0] ?? [] };
}

function communityOf(objects: readonly ManifestObject[], name: string): Origin | undefined {
  for (const object of objects) {
    const list = nodeAt(object, ["spec", "communities"]);
    const index = list.kind === "list" ? list.items.findIndex((item) => textAt(item, "name") === name) : -1;
    if (index >= 0) return { object, field: ["spec", "communities", index, "value"] };
  }
  return undefined;
}

/** `address-pools[0].addresses[1]`, apart. */
function stepsOf(path: string): (string | number)[] {
  return [...path.matchAll(/([^.[\]]+)|\[(\d+)\]/g)].map(([, name, index]) =>
    index === undefined ? (name ?? "") : Number(index),
  );
}

/** Names of the ConfigMap's fields in messages and paths -> the objects' names. */
function camelOf(name: string): string {
  return otherNames[name] ?? name.replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}

const ownFields =
  /\b((my|peer)-asn|router-id|ebgp-multihop|(hold|keepalive|connect)-time|(peer|source)-address|bfd-profile|(namespace|service|node)-selectors|match-(labels|expressions)|aggregation-length(-v6)?)\b/g;

const otherNames: Readonly<Record<string, string>> = {
  "my-asn": "myASN",
  "peer-asn": "peerASN",
  "router-id": "routerID",
  "ebgp-multihop": "ebgpMultiHop",
  "avoid-buggy-ips": "avoidBuggyIPs",
  localpref: "localPref",
};

/** Where the object may have what a field of the made configuration comes from. */
function fieldsOf({ kind }: ManifestObject, name: string): Path[] {
  const camel = camelOf(name);
  const fence = ["namespaces", "namespaceSelectors", "serviceSelectors", "priority"];
  if (kind === "IPAddressPool" && fence.includes(camel)) return [["spec", "serviceAllocation", camel]];
  const properties: object = schemas[kind as keyof typeof schemas]?.properties ?? {};
  return Object.hasOwn(properties, camel) ? [["spec", camel]] : [];
}

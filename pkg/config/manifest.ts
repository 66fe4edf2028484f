import { quote } from "#pkg/text";
import { limits } from "./limits.ts";
import { checked, checkLength, firstDocument, parseConfig, readText } from "./parse.ts";
import { type ParsedConfig, type Problem, Problems } from "./problems.ts";
import { textAt, type YamlMapping, type YamlNode, type YamlScalar } from "./yaml/node.ts";
import { LineIndex, type Position, scalarOffsets } from "./yaml/offsets.ts";
import { parseYaml } from "./yaml/tree.ts";

/** The content of a user's file: the bare text of a configuration, or a ConfigMap with it inside. */
export interface Input extends ParsedConfig {
  /** The configuration's own text; absent when nothing can be read. */
  readonly text?: string;
  /** The ConfigMap that was read, if it was one. */
  readonly configMap?: ConfigMapKey;
}

/** Where a text lies in the cluster. Absent metadata is empty. */
export interface ConfigMapKey {
  readonly namespace: string;
  readonly name: string;
  readonly key: string;
}

/** The documents of a manifest, of which an empty one is undefined. @returns undefined, with the reason reported, when it cannot be read */
export function parseManifest(text: string, problems: Problems): (YamlNode | undefined)[] | undefined {
  return checkLength(text, limits.manifestLength, problems) ? parseYaml(text, problems) : undefined;
}

/**
 * Reads bare text like `parseConfig`, or the configuration inside the one ConfigMap among the YAML or JSON documents of a
 * manifest: under the key `config`, or under its only key. Lines and columns are those of `text` itself: exact in block and
 * quoted scalars. Paths are those inside the configuration, or empty.
 */
export function readInput(text: string): Input {
  const problems = new Problems();
  const lines = new LineIndex(text);
  const at = (offset: number): Position => lines.position(offset);
  const outer = (): Problem[] => problems.list(at);
  const documents = parseManifest(text, problems);
  if (documents === undefined) return isBare(text) ? { ...parseConfig(text), text } : { problems: outer() };
  const manifests = documents.flatMap(objectsOf);
  if (manifests.length === 0) return { ...parseConfig(text), text };
  const found = findText(manifests, problems);
  if (found === undefined) return { problems: outer() };
  const inner = new Problems();
  const config = readText(found.node.text, inner);
  const offsets = scalarOffsets(text, found.node.event, found.node.text);
  const position = (offset: number): Position => at(offsets?.[offset] ?? found.keyOffset);
  return { ...checked(config, inner, position, outer()), configMap: found.where, text: found.node.text };
}

/** Whether a text that is not valid YAML begins with a document that is no object: then no other document is read. */
function isBare(text: string): boolean {
  const first = text.length <= limits.textLength ? firstDocument(text, new Problems()) : undefined;
  return first !== undefined && objectsOf(first).length === 0;
}

interface FoundText {
  readonly node: YamlScalar;
  readonly keyOffset: number;
  readonly where: ConfigMapKey;
}

/** An object of Kubernetes, or those in a List, as kubectl prints several; none where the document is something else. */
function objectsOf(document: YamlNode | undefined): YamlMapping[] {
  if (document?.kind !== "mapping" || !document.entries.has("kind")) return [];
  const items = document.entries.get("items")?.value;
  const listed = items?.kind === "list" ? items.items.flatMap(objectsOf) : [];
  return listed.length > 0 ? listed : [document];
}

function findText(manifests: readonly YamlMapping[], problems: Problems): FoundText | undefined {
  const configMaps = manifests.filter((manifest) => textAt(manifest, "kind") === "ConfigMap");
  const named = configMaps.filter((configMap) => dataOf(configMap)?.entries.has("config"));
  const candidates = named.length > 0 ? named : configMaps.filter((configMap) => dataOf(configMap)?.entries.size === 1);
  const [configMap, second] = candidates;
  const data = configMap && dataOf(configMap);
  if (configMap === undefined || data === undefined) {
    const kinds = manifests.map((manifest) => quote(textAt(manifest, "kind"))).slice(0, 10);
    const message = `a manifest has to hold a ConfigMap with the key "config" under "data"; found kinds: ${kinds.join(", ")}`;
    problems.errorAt(configMaps[0]?.offset ?? manifests[0]?.offset ?? 0, [], message);
    return undefined;
  }
  if (second !== undefined) {
    problems.errorAt(second.offset, [], "this is the second ConfigMap with a configuration; which one is meant?");
    return undefined;
  }
  const key = data.entries.has("config") ? "config" : [...data.entries.keys()].join();
  const entry = data.entries.get(key);
  if (entry === undefined) return undefined;
  if (key !== "config")
    problems.warnAt(entry.offset, [], `the controller and the speakers read the key "config", not ${quote(key)}`);
  const node = entry.value;
  if (node.kind !== "scalar" || typeof node.value !== "string") {
    problems.errorAt(entry.offset, [], `the value of ${quote(key)} has to be text; put a "|" after the colon`);
    return undefined;
  }
  const where = { namespace: textAt(configMap, "metadata", "namespace"), name: textAt(configMap, "metadata", "name"), key };
  return { node, keyOffset: entry.offset, where };
}

function dataOf(configMap: YamlMapping): YamlMapping | undefined {
  const data = configMap.entries.get("data")?.value;
  return data?.kind === "mapping" ? data : undefined;
}

import { dump } from "js-yaml";
import { type Problem, Problems, parseManifest, readFields, readInput, valueAt } from "#pkg/config";
import { quote } from "#pkg/text";
import { bgpExtras, type FromMetallbOptions, fromMetallb } from "./metallb/from-metallb.ts";
import { schemas } from "./metallb/schemas.ts";
import { toMetallb } from "./metallb/to-metallb.ts";
import { type ManifestObject, readObjects, readSpec, refuse } from "./objects.ts";
import { fromOpenelb } from "./openelb.ts";
import { fromPurelb } from "./purelb.ts";
import { type Conversion, Report } from "./report.ts";
import { type Source, SourceText } from "./source-text.ts";

export type ConvertOptions = FromMetallbOptions;

/** The groups of custom resources that become a ConfigMap, and how people call them. */
const origins: Readonly<Record<string, string>> = {
  "metallb.io": "MetalLB's custom resources",
  "network.kubesphere.io": "OpenELB's custom resources",
  "purelb.io": "PureLB's custom resources",
};

/**
 * Converts a ConfigMap with a configuration into MetalLB's custom resources, and custom resources of MetalLB, OpenELB or PureLB into a
 * ConfigMap. Other objects are passed over, but for what configures MetalLB's FRR, which is lost. The result has been read again as what it is to be.
 */
export function convert(sources: readonly Source[], options: ConvertOptions): Conversion {
  const texts = sources.map((source) => new SourceText(source));
  const report = new Report();
  const [only] = texts;
  if (only !== undefined && texts.length === 1 && isBareConfiguration(only)) return convertConfigMap(only, options, report);
  const objects = readObjects(texts);
  const groups = [...new Set(objects.map(({ group }) => group).filter((group) => Object.hasOwn(origins, group)))];
  const [group, second] = groups;
  const configMap = group === undefined ? oneConfigMap(objects.filter(isConfigMap)) : undefined;
  if (configMap !== undefined && !hasErrors(texts)) return convertConfigMap(configMap.source, options, report);
  const kinds = [...new Set(objects.map(({ kind }) => quote(kind)))].slice(0, 10).join(", ");
  if (group === undefined && !hasErrors(texts)) refuseAll(texts, `there is nothing to convert; found kinds: ${kinds || "none"}`);
  if (second !== undefined)
    refuseAll(texts, `there are objects of ${origins[group ?? ""]} and of ${origins[second]}; convert them one after the other`);
  const { namespace, config } = toConfigMap(group ?? "", objects, options, report);
  const problems = () => texts.flatMap((text) => text.list());
  if (hasErrors(texts)) return { text: undefined, losses: report.losses, notes: report.notes, problems: problems() };
  const text = `${report.header(origins[group ?? ""] ?? "")}${manifest(namespace, config)}`;
  const checked = readInput(text).problems.map((problem) => ({ source: result, ...problem }));
  const failed = checked.some(({ severity }) => severity === "error");
  return { text: failed ? undefined : text, losses: report.losses, notes: report.notes, problems: [...problems(), ...checked] };
}

const defaultNamespace = "metallb-system";

/** The name of the source of problems in the result. */
const result = "<result>";

function toConfigMap(group: string, all: readonly ManifestObject[], options: ConvertOptions, report: Report) {
  const objects = all.filter((object) => object.group === group);
  const beside = all.filter((object) => object.group !== group);
  if (group === "metallb.io") return fromMetallb(objects, beside, options, report);
  if (group === "purelb.io") return { namespace: defaultNamespace, config: fromPurelb(objects, options.namespace, report) };
  return { namespace: options.namespace ?? defaultNamespace, config: fromOpenelb(objects, report) };
}

function manifest(namespace: string, config: object): string {
  const text = Object.keys(config).length === 0 ? "{}\n" : dump(config, style);
  return dump({ apiVersion: "v1", kind: "ConfigMap", metadata: { namespace, name: "config" }, data: { config: text } }, style);
}

const style = { lineWidth: -1, noRefs: true, seqNoIndent: true } as const;

/** Text without any `kind` cannot be objects of Kubernetes. */
function isBareConfiguration({ text }: SourceText): boolean {
  const documents = parseManifest(text, new Problems())?.filter((document) => document !== undefined) ?? [];
  return documents.length > 0 && documents.every((document) => document.kind === "mapping" && !document.entries.has("kind"));
}

function isConfigMap({ kind, group, name }: ManifestObject): boolean {
  return kind === "ConfigMap" && group === "" && name !== bgpExtras;
}

/** The ConfigMap whose source has the configuration. Refuses others in other sources; the source's reader refuses others in the same one. */
function oneConfigMap(all: readonly ManifestObject[]): ManifestObject | undefined {
  const named = all.filter(({ node }) => valueAt(node, "data", "config") !== undefined);
  const [first, ...more] = named.length > 0 ? named : all;
  const other = more.find(({ source }) => source !== first?.source);
  if (other !== undefined) refuse(other, [], "this is the second ConfigMap with a configuration; which one is meant?");
  return first;
}

function hasErrors(texts: readonly SourceText[]): boolean {
  return texts.some((text) => text.list().some(({ severity }) => severity === "error"));
}

function refuseAll(texts: readonly SourceText[], message: string): void {
  texts[0]?.problems.errorAt(0, [], message);
}

function convertConfigMap(source: SourceText, { namespace: wanted }: ConvertOptions, report: Report): Conversion {
  const input = readInput(source.text);
  const problems = input.problems.map((problem: Problem) => ({ source: source.name, ...problem }));
  if (input.config === undefined || input.text === undefined) return { text: undefined, losses: [], notes: [], problems };
  const namespace = wanted ?? (input.configMap?.namespace || defaultNamespace);
  const objects = toMetallb(input.config, readFields(input.text), namespace, report);
  const text = `${report.header("a ConfigMap")}${objects.map((object) => dump(object, style)).join("---\n")}`;
  return { text, losses: report.losses, notes: report.notes, problems: [...problems, ...check(text)] };
}

/** What MetalLB's schemas say of objects that were made. */
function check(text: string) {
  const made = new SourceText({ name: result, text });
  const report = new Report();
  for (const object of readObjects([made])) readSpec(object, schemas[object.kind as keyof typeof schemas], report);
  for (const loss of report.losses) made.problems.errorAt(0, [], loss);
  return made.list();
}

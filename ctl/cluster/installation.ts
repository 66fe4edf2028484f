import { configurationKinds, type LiveObject, liveObjectText, liveText } from "#pkg/convert";
import { centralName } from "#pkg/gossip";
import { configKey, lastGoodKey, mayRenumber, statusConfigMap } from "#pkg/live-config";
import { readClasses } from "#pkg/service";
import { type Fields, fields, list, text } from "#pkg/untrusted";
import { UsageError } from "../command.ts";
import type { Api, ApiAnswer, RawObject, ReadApi } from "./api.ts";

export interface ConfigMapObject {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
  readonly data?: Readonly<Record<string, string>>;
}

/** How controller and speakers are set up, by the arguments of their Pods, and the texts of their configurations. */
export type Installation = Awaited<ReturnType<typeof readInstallation>>;

/** @throws {UsageError} for objects that may not be read */
export async function readInstallation(api: Api, namespace: string) {
  const core = `/api/v1/namespaces/${encodeURIComponent(namespace)}`;
  const all = (await needed(api.list(`${core}/pods`), `the Pods of namespace ${namespace}`)) as readonly RawObject[];
  const pods = withoutReplaced(all);
  const args = (program: string) => pods.filter((pod) => programOf(pod) === program).flatMap(argumentsOf);
  const [controller, speaker] = [args("controller"), args("speaker")];
  const ofNodes = pods.filter((pod) => programOf(pod) === "speaker" && !isCentralPod(pod)).map(argumentsOf);
  const centralOn = [...new Set(pods.filter(isCentralPod).flatMap(nodeOf))].sort();
  const name = flagOf(controller, "config") ?? flagOf(speaker, "config") ?? "config";
  const configMapPath = `${core}/configmaps/${encodeURIComponent(name)}`;
  const configMap = (await optional(api.read(configMapPath), `ConfigMap ${namespace}/${name}`)) as ConfigMapObject | undefined;
  const status = await optional(api.read(`${core}/configmaps/${statusConfigMap}`), `ConfigMap ${namespace}/${statusConfigMap}`);
  const isOfObjects = (flagOf(controller, "config-source") ?? flagOf(speaker, "config-source")) === "crds";
  const objects = isOfObjects ? await readObjects(api, namespace) : [];
  const text = objects.length > 0 ? liveText(objects.map(liveObjectText)) : undefined;
  return {
    namespace,
    configMapPath,
    // The ConfigMap, as the API has it; undefined if it does not exist.
    configMap,
    // Where controller and speakers have the configuration.
    source: isOfObjects ? ("crds" as const) : ("configmap" as const),
    // The custom resources that are the configuration, where they are.
    objects,
    // The text of the configuration; undefined if it does not exist.
    text: isOfObjects ? text : configMap?.data?.[configKey],
    // It may leave no pool for addresses in use.
    mayRenumber: (isOfObjects ? objects : [configMap]).some((each) => mayRenumber(each?.metadata.annotations)),
    // The text that is in force, as the controller recorded it; undefined where it has recorded none.
    lastGood: (status as ConfigMapObject | undefined)?.data?.[lastGoodKey],
    classes: readClasses(flagOf(controller, "lb-class") ?? "", isSet(controller, "lb-class-default")),
    ignoreExcludeLabel: isSet(speaker, "ignore-exclude-lb"),
    // The speakers of nodes have BGP sessions: central ones do not take these from them.
    nodesHaveBgp:
      ofNodes.length === 0
        ? centralOn.length === 0
        : !ofNodes.some((each) => flagOf(each, "announce-for") === "node-without-bgp"),
    // Nodes with a central speaker.
    centralOn,
  };
}

/** MetalLB's custom resources in the namespace. @throws {UsageError} for objects that may not be read */
async function readObjects(api: Api, namespace: string): Promise<LiveObject[]> {
  const found: LiveObject[] = [];
  for (const one of configurationKinds) {
    const { apiVersion = "", items = [] } = (await listFirstVersion(api, "metallb.io", one, namespace)) ?? {};
    found.push(...(items as readonly LiveObject[]).map((item) => ({ ...item, apiVersion, kind: one.kind })));
  }
  return found;
}

/** A kind of objects, as the API serves it. */
export interface ApiKind {
  readonly kind: string;
  readonly plural: string;
  /** From the newest. */
  readonly versions: readonly string[];
}

/**
 * All objects of a kind, in the first of its versions that the API serves.
 * @param namespace undefined: every one @returns undefined where the kind is not installed @throws {UsageError} if they may not be read
 */
export async function listFirstVersion(
  api: ReadApi,
  group: string,
  { plural, versions }: ApiKind,
  namespace: string | undefined,
): Promise<{ readonly apiVersion: string; readonly items: unknown } | undefined> {
  const scope = namespace === undefined ? "" : `/namespaces/${encodeURIComponent(namespace)}`;
  for (const version of versions) {
    const apiVersion = `${group}/${version}`;
    const items = await optional(api.list(`/apis/${apiVersion}${scope}/${plural}`), `${plural}.${group}`);
    if (items !== undefined) return { apiVersion, items };
  }
  return undefined;
}

/**
 * The program of a Pod, by the labels of our manifests, or of the chart. Other charts have a component `controller` too; a release whose
 * `nameOverride` is not `metallb` has `METALLB_…` in its environment.
 */
export function programOf({ metadata, spec }: RawObject): "controller" | "speaker" | undefined {
  const { app, component, ...labels } = metadata?.labels ?? {};
  // The manifests' own labels come first: an overlay may add the recommended ones, with values of its own.
  const program = app === "metallb" && component !== undefined ? component : labels["app.kubernetes.io/component"];
  const name = labels["app.kubernetes.io/name"] ?? "metallb";
  if (name !== "metallb" && !hasOurEnvironment(fields(fields(spec?.template).spec ?? spec))) return undefined;
  if (program === centralComponent) return "speaker";
  return program === "controller" || program === "speaker" ? program : undefined;
}

/** @param spec of a Pod */
function hasOurEnvironment({ containers }: Fields): boolean {
  const variables = list(containers).flatMap((container) => list(fields(container).env));
  return variables.some((variable) => text(fields(variable).name).startsWith("METALLB_"));
}

const centralComponent = "central-speaker";

/** The name by which the process in a Pod goes: that of its node, or of a central speaker there. */
export function memberOf(pod: RawObject, node: string): string {
  return isCentralPod(pod) ? centralName(node) : node;
}

function isCentralPod({ metadata }: RawObject): boolean {
  const labels = metadata?.labels ?? {};
  return [labels["app.kubernetes.io/component"], labels.component].includes(centralComponent);
}

/** The node of a Pod that has one, and has not ended. */
function nodeOf(pod: RawObject): string | readonly [] {
  return hasEnded(pod) ? [] : text(pod.spec?.nodeName) || [];
}

function hasEnded({ status }: RawObject): boolean {
  return ["Succeeded", "Failed"].includes(text(fields(status).phase));
}

/**
 * Without Pods that ended and whose place another one took: Kubernetes keeps those of a Deployment, after an eviction or the shutdown of
 * their node, until there are thousands.
 */
export function withoutReplaced(pods: readonly RawObject[]): RawObject[] {
  const places = new Set(pods.filter((pod) => !hasEnded(pod)).map(placeOf));
  return pods.filter((pod) => !hasEnded(pod) || !places.has(placeOf(pod)));
}

/** Each node has a place for a speaker of its own. */
function placeOf(pod: RawObject): string {
  if (isCentralPod(pod)) return centralComponent;
  const program = programOf(pod);
  return program === "speaker" ? `${program} ${text(pod.spec?.nodeName)}` : `${program}`;
}

/**
 * Arguments of the container that is named like the program; else of the first container. Everything in the command besides the
 * program counts as an argument too.
 */
export function argumentsOf(pod: RawObject): readonly string[] {
  const { command, args } = ownOf(pod, pod.spec?.containers);
  return [...list(command), ...list(args)].map(text);
}

/** Of something that a Pod has of each of its containers, that of ours: others may have been added. */
export function ownOf(pod: RawObject, containers: unknown): Fields {
  const all = list(containers).map(fields);
  return all.find(({ name }) => name === programOf(pod)) ?? all[0] ?? {};
}

/** The value of a flag, as `--name=value` or `--name value`; the last one counts. */
export function flagOf(args: readonly string[], name: string): string | undefined {
  const found = args.flatMap((text, index) => {
    const [, key, value] = /^--?([^=]+)(?:=(.*))?$/s.exec(text) ?? [];
    return key === name ? [value ?? args[index + 1] ?? ""] : [];
  });
  return found.at(-1);
}

/** Whether a switch such as `--name` or `--name=true` is there and on; the last one counts. */
export function isSet(args: readonly string[], name: string): boolean {
  const found = args.flatMap((text) => {
    const [, flag, value = "true"] = /^--?([^=]+)(?:=(.*))?$/s.exec(text) ?? [];
    return flag === name ? [value] : [];
  });
  return isTrue(found.at(-1) ?? "false");
}

/** Reads like Go's `strconv.ParseBool`. */
export function isTrue(value: string): boolean {
  return ["1", "t", "T", "true", "TRUE", "True"].includes(value);
}

/** @throws {UsageError} */
export async function needed(asked: Promise<ApiAnswer>, what: string): Promise<unknown> {
  const answer = await asked;
  if (answer.type === "found") return answer.value;
  throw new UsageError(`cannot read ${what}: ${answer.type === "absent" ? "there is none" : answer.why}`);
}

/** Waits for a write. @param what what is done, such as `patch Node node1` @returns the object @throws {UsageError} saying why it is not done */
export async function done(asked: Promise<ApiAnswer>, what: string): Promise<unknown> {
  const answer = await asked;
  if (answer.type === "found") return answer.value;
  const why = answer.type === "absent" ? "it is gone" : answer.why;
  // Without an answer of the API server itself, or in time, nobody knows whether it did it.
  const isUnknown = /^(?:50[0-4] |no answer |read |socket hang up)/.test(why);
  const next = /^409/.test(why)
    ? "; somebody changed it: try again"
    : isUnknown
      ? "; it may be done all the same: look first"
      : "";
  throw new UsageError(`cannot ${what}: ${why}${next}`);
}

/** @returns undefined if the object does not exist @throws {UsageError} if it may not be read */
export async function optional(asked: Promise<ApiAnswer>, what: string): Promise<unknown> {
  const answer = await asked;
  return answer.type === "absent" ? undefined : needed(Promise.resolve(answer), what);
}

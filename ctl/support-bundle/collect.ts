import { dump } from "js-yaml";
import { configurationKinds, type LiveObject, liveObjectText, liveText } from "#pkg/convert";
import { isAnnotation } from "#pkg/service";
import { maskControls } from "#pkg/text";
import { fields, text } from "#pkg/untrusted";
import type { Api, ApiAnswer, RawObject } from "../cluster/api.ts";
import { argumentsOf, flagOf, listFirstVersion, programOf } from "../cluster/installation.ts";
import { structured } from "../cluster/output.ts";
import { askAny, eachOnce, type Processes, type Unreachable } from "../cluster/processes.ts";
import { UsageError } from "../command.ts";
import { Redaction } from "./redaction.ts";

export interface BundleFile {
  readonly name: string;
  readonly text: string;
}

interface Collected {
  readonly files: readonly BundleFile[];
  readonly unreachable: readonly Unreachable[];
  /** Parts of the API that could not be read, and why. */
  readonly unread: readonly string[];
}

const commonPaths = ["/v1/verdicts", "/v1/services", "/v1/pools", "/v1/configuration", "/v1/recorder", "/metrics", "/readyz"];
const nodePaths = ["/v1/node", "/v1/members", "/v1/conflicts", "/v1/kernel", "/v1/handovers"];
const speakerPaths = [...nodePaths, "/v1/bgp/peers", "/v1/bfd/sessions"];
const ourComponents = new Set(["metallb-controller", "metallb-speaker"]);

/**
 * Collects the data that help to find a fault of a cluster from afar. It takes only fields of objects that are known to hold no secret;
 * Secrets are not read. Passwords of the ConfigMaps are taken out of everything.
 */
export async function collect(api: Api, processes: Processes, namespace: string): Promise<Collected> {
  const redaction = new Redaction();
  const unread: string[] = [];
  const core = `/api/v1/namespaces/${encodeURIComponent(namespace)}`;
  const listed = async (path: string): Promise<readonly RawObject[]> => {
    const found = note(path, await api.list(path), unread);
    return Array.isArray(found) ? found : [];
  };
  const [configMaps, services, nodes, pods, events, version] = await Promise.all([
    listed(`${core}/configmaps`),
    listed("/api/v1/services"),
    listed("/api/v1/nodes"),
    listed(`${core}/pods`),
    listed("/api/v1/events"),
    api.read("/version").then((answer) => note("/version", answer, unread)),
  ]);
  const ours = pods.filter((pod) => programOf(pod) !== undefined);
  const isOfObjects = ours.some((pod) => flagOf(argumentsOf(pod), "config-source") === "crds");
  const configuration = isOfObjects ? redaction.configuration(await customResources(api, namespace, unread)) : undefined;
  const objects: Record<string, unknown> = {
    "cluster/configmaps": configMaps.filter(isOurConfigMap).map(({ metadata, data = {} }) => {
      return { metadata: identity(metadata), data: redaction.data(String(metadata?.name), data) };
    }),
    "cluster/services": services.filter(({ spec }) => spec?.type === "LoadBalancer").map(describeService),
    "cluster/nodes": nodes.map(describeNode),
    "cluster/pods": ours.map((pod) => describePod(pod, redaction)),
    "cluster/events": events.filter((event) => isAbout(event, namespace)).map(describeEvent),
    "cluster/version": version ?? {},
  };
  const asked = await askProcesses(processes);
  const files = [
    // Redacted as they are meant: once they are written, each format has its own ways to quote them. Nothing in a file steers a terminal.
    ...Object.entries(objects).map(([name, value]) => ({
      name: `${name}.yaml`,
      text: masked(yaml(redaction.value(value))),
    })),
    ...(configuration === undefined
      ? []
      : [{ name: "cluster/custom-resources.yaml", text: masked(redaction.text(configuration)) }]),
    ...asked.answers.map(({ name, body }) =>
      typeof body === "string"
        ? { name: `${name}.txt`, text: masked(redaction.text(body)) }
        : { name: `${name}.json`, text: structured("json", redaction.value(body)) },
    ),
    ...(unread.length > 0 ? [{ name: "unread.txt", text: redaction.text(`${unread.join("\n")}\n`) }] : []),
  ];
  return { files, unreachable: asked.unreachable, unread };
}

function note(path: string, answer: ApiAnswer, unread: string[]): unknown {
  if (answer.type === "found") return answer.value;
  unread.push(`${path}: ${answer.type === "absent" ? "not there" : answer.why}`);
  return undefined;
}

/** The custom resources that are the configuration, as the API has them now. */
async function customResources(api: Api, namespace: string, unread: string[]): Promise<string> {
  const texts: string[] = [];
  for (const { plural, kind, versions } of configurationKinds)
    try {
      const { apiVersion = "", items } = (await listFirstVersion(api, "metallb.io", { plural, kind, versions }, namespace)) ?? {};
      texts.push(...((items ?? []) as readonly LiveObject[]).map((item) => liveObjectText({ ...item, apiVersion, kind })));
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      unread.push(error.message);
    }
  return liveText(texts);
}

interface ProcessAnswer {
  /** Name of its file, without the ending. */
  readonly name: string;
  readonly body: unknown;
}

async function askProcesses(
  processes: Processes,
): Promise<{ readonly answers: readonly ProcessAnswer[]; readonly unreachable: Collected["unreachable"] }> {
  const said: ProcessAnswer[] = [];
  const unreachable: Unreachable[] = [];
  for (const path of [...commonPaths, ...speakerPaths]) {
    const asked = await askAny(processes, path, speakerPaths.includes(path) ? "speaker" : undefined);
    const file = path.replace("/", "").replaceAll("/", "-");
    said.push(...asked.answers.map(({ target, body }) => ({ name: `processes/${target.pod}/${file}`, body })));
    unreachable.push(...asked.unreachable.map(({ target, why }) => ({ target, why: target.notRunning ?? `${path}: ${why}` })));
  }
  return { answers: said.sort((a, b) => (a.name < b.name ? -1 : 1)), unreachable: eachOnce(unreachable) };
}

function isOurConfigMap({ data = {}, metadata }: RawObject): boolean {
  const name = String(metadata?.name);
  return name.startsWith("ingot-") || "config" in data;
}

/** No annotations: kubectl keeps the whole object there. */
function identity(metadata: RawObject["metadata"] = {}): Record<string, unknown> {
  const { name, namespace, uid, resourceVersion, creationTimestamp, deletionTimestamp } = metadata;
  return { name, namespace, uid, resourceVersion, creationTimestamp, deletionTimestamp };
}

const serviceFields = [
  ...["type", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "ports", "externalTrafficPolicy", "loadBalancerIP"],
  ...["loadBalancerClass", "selector"],
];

function describeService({ metadata, spec = {}, status }: RawObject) {
  const annotations = Object.fromEntries(Object.entries(metadata?.annotations ?? {}).filter(([name]) => isAnnotation(name)));
  const ours = Object.fromEntries(serviceFields.map((name) => [name, spec[name]]));
  return { metadata: { ...identity(metadata), annotations }, spec: ours, status };
}

function describeNode({ metadata, spec = {}, status }: RawObject) {
  const { conditions, addresses, nodeInfo } = fields(status);
  const { taints, unschedulable, podCIDRs } = spec;
  return {
    metadata: { ...identity(metadata), labels: metadata?.labels },
    spec: { taints, unschedulable, podCIDRs },
    status: { conditions, addresses, nodeInfo },
  };
}

/** Environments may hold anything. */
function describePod({ metadata, spec = {}, status }: RawObject, redaction: Redaction) {
  const words = (given: unknown) => (Array.isArray(given) ? redaction.args(given.map(String)) : undefined);
  const containers = (Array.isArray(spec.containers) ? spec.containers : []).map(({ name, image, command, args, resources }) => ({
    name,
    image,
    command: words(command),
    args: words(args),
    resources,
  }));
  return {
    metadata: { ...identity(metadata), labels: metadata?.labels },
    spec: { nodeName: spec.nodeName, hostNetwork: spec.hostNetwork, containers },
    status,
  };
}

function isAbout(event: RawObject, namespace: string): boolean {
  const { source, reportingComponent } = fields(event);
  const component = fields(source).component ?? reportingComponent;
  return event.metadata?.namespace === namespace || ourComponents.has(text(component));
}

function describeEvent(event: RawObject) {
  const { involvedObject, reason, message, type, count, firstTimestamp, lastTimestamp, eventTime, source } = fields(event);
  return { involvedObject, reason, message, type, count, firstTimestamp, lastTimestamp, eventTime, source };
}

function yaml(value: unknown): string {
  return dump(JSON.parse(JSON.stringify(value)), { lineWidth: -1, noRefs: true });
}

function masked(text: string): string {
  return text.split("\n").map(maskControls).join("\n");
}

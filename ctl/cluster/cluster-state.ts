import type { Config } from "#pkg/config";
import { parseConfiguration } from "#pkg/convert";
import { isCentral } from "#pkg/gossip";
import {
  type EndpointSlice,
  type Node,
  nodesOf,
  type ObjectMeta,
  type Resource,
  resources,
  type Service,
  servicesOf,
} from "#pkg/k8s";
import { type Prefix, parsePrefix } from "#pkg/net";
import type { KnownReachability } from "#pkg/placement";
import { decodeQuarantine, quarantineConfigMap } from "#pkg/quarantine";
import { list } from "#pkg/text";
import type { ClusterState } from "#pkg/what-if";
import { UsageError } from "../command.ts";
import type { MembersAnswer, NodeAnswer } from "./answers.ts";
import type { Api, RawObject } from "./api.ts";
import { askServicesBriefly } from "./ask-services.ts";
import { type Installation, needed } from "./installation.ts";
import { type Answer, askAll, type Processes, type Unreachable } from "./processes.ts";

/** A picture of the cluster to try things on, and its gaps. */
export interface Picture {
  readonly state: ClusterState;
  /** EndpointSlices as the API has them. */
  readonly rawSlices: readonly RawSlice[];
  readonly unreachable: readonly Unreachable[];
  /** Why what is said from it may not be what happens, in sentences. */
  readonly doubts: readonly string[];
}

export interface RawSlice {
  readonly metadata?: { readonly namespace?: string; readonly name?: string };
  readonly endpoints?: readonly RawEndpoint[] | null;
}

interface RawEndpoint {
  readonly nodeName?: string;
  readonly targetRef?: { readonly kind?: string; readonly namespace?: string; readonly name?: string };
}

/** Asks the API for objects, and the processes for what these alone know. @throws {UsageError} where the API does not give them */
export async function takePicture(api: Api, processes: Processes, installation: Installation): Promise<Picture> {
  const { namespace, classes } = installation;
  const objects = async <V extends ObjectMeta>({ api: group, plural }: Resource<V>) =>
    (await needed(api.list(`${group}/${plural}`), plural)) as readonly RawObject[];
  const [services, rawSlices, nodes, namespaces, quarantine, members, nodeAnswers, asked] = await Promise.all([
    objects(servicesOf(classes, "labels")),
    objects(resources.endpointSlices),
    objects(nodeObjects),
    api.list("/api/v1/namespaces"),
    api.read(`/api/v1/namespaces/${encodeURIComponent(namespace)}/configmaps/${quarantineConfigMap}`),
    askAll<MembersAnswer>(processes, "/v1/members", "speaker"),
    askAll<NodeAnswer>(processes, "/v1/node", "speaker"),
    askServicesBriefly(processes),
  ]);
  const { config, doubts } = inForce(installation);
  const active = activeNodes(members.answers);
  const occupied =
    quarantine.type === "found" ? decodeQuarantine((quarantine.value as { data?: Record<string, string> }).data ?? {}) : [];
  const announced = asked.services
    .flatMap(({ addresses }) => addresses)
    .filter(({ protocol }) => protocol === "layer2" || protocol === "interface");
  const held = new Set(asked.services.flatMap(({ addresses }) => addresses.map(({ address }) => address)));
  const state: ClusterState = {
    config,
    mayRenumber: installation.mayRenumber,
    services: services.map((raw): Service => project(servicesOf(classes, "texts"), raw)),
    slices: readSlices(rawSlices),
    nodes: nodes.map((raw): Node => project(nodeObjects, raw)),
    namespaces: labelsOf(namespaces.type === "found" ? (namespaces.value as readonly RawObject[]) : []),
    active: active.nodes.filter((member) => !isCentral(member)),
    central: runningCentrals(processes),
    nodesHaveBgp: installation.nodesHaveBgp,
    reachability: new Map(nodeAnswers.answers.map(({ body }) => [body.node, reachabilityOf(body)])),
    ignoreExcludeLabel: installation.ignoreExcludeLabel,
    owners: new Map(announced.flatMap(({ address, nodes: [node] }) => (node === undefined ? [] : [[address, node] as const]))),
    occupied: new Map([...occupied].flatMap(([address, { mac }]) => (held.has(address) ? [] : [[address, mac] as const]))),
  };
  return {
    state,
    rawSlices: rawSlices as readonly RawSlice[],
    unreachable: asked.unreachable,
    doubts: [
      ...doubts,
      ...active.doubts,
      ...doubtsOfHealth(nodeAnswers.answers),
      ...(namespaces.type === "unread" ? [`Namespaces cannot be read: their labels count as unknown (${namespaces.why})`] : []),
    ],
  };
}

const nodeObjects = nodesOf("", true);

/** Central speakers may be in no ring. */
function runningCentrals({ targets }: Processes): readonly string[] {
  const running = targets.filter(({ node, notRunning }) => isCentral(node) && notRunning === undefined);
  return running.map(({ node }) => node).sort();
}

function labelsOf(namespaces: readonly RawObject[]): ClusterState["namespaces"] {
  const projected = namespaces.map((raw) => project(resources.namespaces, raw));
  return new Map(projected.flatMap(({ name, labels }) => (labels === undefined ? [] : [[name, labels] as const])));
}

export function readSlices(raw: readonly RawSlice[]): EndpointSlice[] {
  return raw.map((slice) => project(resources.endpointSlices, slice));
}

function project<V extends ObjectMeta>(resource: Resource<V>, raw: RawObject): V {
  const { name = "", namespace = "", uid = "" } = raw.metadata ?? {};
  const key = namespace === "" ? name : `${namespace}/${name}`;
  return resource.project(raw as Parameters<typeof resource.project>[0], { key, namespace, name, uid, resourceVersion: "" });
}

const noConfig: Config = { pools: [], peers: [], bfdProfiles: new Map(), quotas: [] };

/** The configuration in force: the last good one if the ConfigMap's was refused. */
function inForce({ text, lastGood }: Installation): { readonly config: Config; readonly doubts: readonly string[] } {
  const texts = [lastGood, text].filter((one) => one !== undefined);
  for (const one of texts) {
    const { config } = parseConfiguration(one);
    if (config === undefined) continue;
    const doubts = text === undefined || one === text ? [] : ["the present configuration is not in force: the last good one is"];
    return { config, doubts };
  }
  return { config: noConfig, doubts: ["no configuration is in force"] };
}

/** Nodes that speakers see as active, as most speakers see them. */
function activeNodes(answers: readonly Answer<MembersAnswer>[]): {
  readonly nodes: readonly string[];
  readonly doubts: string[];
} {
  const counts = new Map<string, { readonly nodes: string[]; count: number }>();
  for (const { body } of answers) {
    const nodes = [...new Set(body.members.filter(({ active }) => active).map(({ node }) => node))].sort();
    const known = counts.get(nodes.join()) ?? { nodes, count: 0 };
    known.count++;
    counts.set(nodes.join(), known);
  }
  const [first, ...others] = [...counts.values()].sort((a, b) => b.count - a.count || b.nodes.length - a.nodes.length);
  if (first === undefined) throw new UsageError("no speaker answers, so that nobody knows which nodes are active");
  const doubts = others.length === 0 ? [] : ["the speakers do not all see the same other speakers: see ingotctl members"];
  return { nodes: first.nodes, doubts };
}

/** These leave addresses to other nodes, which is not counted in. */
function doubtsOfHealth(answers: readonly Answer<NodeAnswer>[]): readonly string[] {
  return (["cannotDeliver", "apiViewOld"] as const).flatMap((wanted) => {
    const found = answers.filter(({ body }) => body.verdicts.some(({ cause }) => cause === wanted)).map(({ body }) => body.node);
    return found.length === 0 ? [] : [`${list(found)} counts as well, and has the verdict ${wanted}: see ingotctl explain`];
  });
}

function reachabilityOf({ reachability }: NodeAnswer): KnownReachability {
  if (reachability === undefined || reachability === null) return "notReported";
  const subnets = (texts: readonly string[]) => texts.map(parsePrefix).filter((prefix): prefix is Prefix => prefix !== undefined);
  const interfaces = new Map(Object.entries(reachability.interfaces).map(([name, texts]) => [name, subnets(texts)]));
  return { answers: reachability.answers, hasKernelAccess: reachability.hasKernelAccess ?? true, interfaces };
}

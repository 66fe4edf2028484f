import { cordonTaint } from "#pkg/placement";
import { maskControls } from "#pkg/text";
import { type ClusterState, doubtsOfCentral, type NodeChange, nodeChange, withoutNodes } from "#pkg/what-if";
import type { Api, RawObject } from "../cluster/api.ts";
import { type CommandInput, type CommandResult, clusterCommand } from "../cluster/cluster-command.ts";
import { type Picture, type RawSlice, readSlices, takePicture } from "../cluster/cluster-state.ts";
import { needed, readInstallation } from "../cluster/installation.ts";
import type { Unreachable } from "../cluster/processes.ts";
import { UsageError } from "../command.ts";
import type { Screen } from "../io.ts";
import { nodesText, rows, sections } from "./change-text.ts";
import { tryFile } from "./diff.ts";

export const simulate = clusterCommand({
  name: "simulate",
  summary: "Effects of the loss or the drain of nodes, or of another configuration",
  usage: "lose NODE… | drain NODE… | config FILE",
  takes: "one or more",
  needsApi: true,
  subjects: ["lose", "drain", "config"],
  help: `Shows the effects of an event, by the decisions of the speakers themselves, and changes nothing:

  lose NODE…    the nodes fail, with their speakers and all Pods
  drain NODE…   they are cordoned, and their Pods evicted, except Pods of DaemonSets: the speaker stays, endpoints go
  config FILE   as "ingotctl diff FILE"

Shown are Services that would not be announced any more, and why; addresses that other nodes take over; how many addresses each node
announces then by layer 2; and prefixes that routers have by fewer nodes. Pods that start again elsewhere are not counted: a Service
comes back with them. It takes the rights for "ingotctl diff".`,
  examples: ["ingotctl simulate lose node1", "ingotctl simulate drain node1 node2", "ingotctl simulate config config.yaml"],
  exits: "1 also means that a node does not exist, and 3 that a Service would not be announced any more.",
  async find(question) {
    const [what = "", ...names] = question.args;
    if (what !== "lose" && what !== "drain" && what !== "config")
      throw new UsageError(`simulate lose, drain or config, not ${JSON.stringify(what)}; see "ingotctl help simulate"`);
    if (names.length === 0 || (what === "config" && names.length > 1))
      throw new UsageError(`simulate ${what} takes ${what === "config" ? "one file" : "the names of nodes"}`);
    return what === "config" ? tryFile(question, names[0] ?? "") : nodes(question, what, names);
  },
});

/** The effects of the loss or drain of nodes. */
export interface NodesSimulation {
  readonly change: NodeChange;
  /** Why it may not be what happens, in sentences. */
  readonly doubts: readonly string[];
  readonly unreachable: readonly Unreachable[];
}

export interface UnknownNodes {
  /** Names of nodes that are not there. */
  readonly unknown: readonly string[];
  readonly unreachable: readonly Unreachable[];
}

/** @throws {UsageError} where the API server does not give what it takes */
export async function simulateNodes(
  { processes, api, systemNamespace }: Pick<CommandInput, "processes" | "api" | "systemNamespace">,
  what: "lose" | "drain",
  names: readonly string[],
): Promise<NodesSimulation | UnknownNodes> {
  const client = await api();
  const picture = await takePicture(client, processes, await readInstallation(client, systemNamespace));
  const { state, unreachable, doubts } = picture;
  const known = new Set([...state.active, ...state.central, ...state.nodes.map(({ name }) => name)]);
  const unknown = names.filter((name) => !known.has(name));
  if (unknown.length > 0) return { unknown, unreachable };
  const after = what === "lose" ? withoutNodes(state, new Set(names)) : await drain(client, picture, names);
  return { change: nodeChange(state, after), doubts: [...doubts, ...doubtsOfCentral(after)], unreachable };
}

async function nodes(question: CommandInput, what: "lose" | "drain", names: readonly string[]): Promise<CommandResult> {
  const simulation = await simulateNodes(question, what, names);
  const { unreachable } = simulation;
  if ("unknown" in simulation) {
    const { unknown } = simulation;
    const text = `there is no node ${unknown.map(maskControls).join(", ")}\n`;
    return { value: { unknown }, text, unreachable, isMissing: true };
  }
  const { change, doubts } = simulation;
  return {
    value: { [what]: names, ...change, doubts },
    text: nodeText(change, doubts, question.screen),
    unreachable,
    isLossy: change.lost.length > 0,
  };
}

/** The same cluster when these nodes are cordoned, and all their Pods evicted but for those that `kubectl drain --ignore-daemonsets` leaves. */
async function drain(api: Api, { state, rawSlices }: Picture, names: readonly string[]): Promise<ClusterState> {
  const pods = await Promise.all(
    names.map(async (name) => needed(api.list(`/api/v1/pods?fieldSelector=spec.nodeName%3D${encodeURIComponent(name)}`), "Pods")),
  );
  const nodes = state.nodes.map((node) =>
    names.includes(node.name) ? { ...node, taints: [...node.taints, cordonTaint] } : node,
  );
  return { ...state, nodes, slices: readSlices(drained(rawSlices, new Set(names), pods.flat() as readonly object[])) };
}

/**
 * The slices that are left when nodes have been drained, as `kubectl drain --ignore-daemonsets` does it: Pods of DaemonSets, and those that a
 * kubelet runs by itself, stay.
 * @param pods of those nodes
 */
function drained(slices: readonly RawSlice[], nodes: ReadonlySet<string>, pods: readonly RawObject[]): RawSlice[] {
  const staying = new Set(pods.filter(stays).map(({ metadata }) => `${metadata?.namespace}/${metadata?.name}`));
  return slices.map((slice) => ({
    ...slice,
    endpoints: (slice.endpoints ?? []).filter(({ nodeName, targetRef }) => {
      if (nodeName === undefined || !nodes.has(nodeName)) return true;
      const { kind, namespace = slice.metadata?.namespace, name } = targetRef ?? {};
      return kind === "Pod" && staying.has(`${namespace}/${name}`);
    }),
  }));
}

function stays({ metadata }: RawObject): boolean {
  const isOfKubelet = metadata?.annotations?.["kubernetes.io/config.mirror"] !== undefined;
  return isOfKubelet || metadata?.ownerReferences?.some(({ kind }) => kind === "DaemonSet") === true;
}

function nodeText({ lost, moved, stay, load, prefixes }: NodeChange, doubts: readonly string[], screen: Screen): string {
  const changed = load.filter(({ before, after }) => before > 0 || after > 0);
  const parts = [
    rows(
      ["NOT ANNOUNCED", "ADDRESS", "WHY"],
      lost.map(({ service, address, why }) => [service, address, why]),
      screen,
    ),
    lost.length === 0 ? "Every Service that is announced now would be announced.\n" : "",
    rows(
      ["ADDRESS", "POOL", "ANNOUNCED BY", "THEN BY", "SERVICES"],
      moved.map(({ address, pool, before, after, services }) => [
        address,
        pool ?? "-",
        nodesText(before),
        nodesText(after),
        services.join(","),
      ]),
      screen,
    ),
    `${stay === 1 ? "1 address stays" : `${stay} addresses stay`} where ${stay === 1 ? "it is" : "they are"}.\n`,
    rows(
      ["NODE", "ADDRESSES BY LAYER 2", "THEN"],
      changed.map(({ node, before, after }) => [node, `${before}`, `${after}`]),
      screen,
    ),
    rows(
      ["PREFIX", "PEER", "BY NODES", "THEN"],
      prefixes.map(({ prefix, peer, before, after }) => [prefix, peer, `${before}`, `${after}`]),
      screen,
    ),
  ];
  return sections(parts, doubts);
}

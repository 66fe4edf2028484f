import { layer2PoolsOf } from "#pkg/config";
import type { Family } from "#pkg/net";
import { drainLabel, excludeLabel, isDrained, networkTaint, outOfServiceTaint } from "#pkg/placement";
import { counted, list } from "#pkg/text";
import { causes, type Verdict, verdict } from "#pkg/verdict";
import { brokenFamilies, isUndelivering, nobodyDelivers } from "../data-path/data-path.ts";
import type { DataPaths, PathFault } from "../data-path/data-path-state.ts";
import { unservedHere } from "../data-path/health-ports.ts";
import { withoutCarrier } from "../interfaces/carriers.ts";
import { interfacesHere } from "../interfaces/nics.ts";
import { isOutdated } from "../members/api-view.ts";
import { isDrainedNode } from "../members/nodes.ts";
import type { SpeakerState } from "../state.ts";
import { isWithoutNetwork, networkRemedy } from "./refusals.ts";

/** Facts about a node besides the core's state. */
export interface NodeFacts {
  /** Resources that have to be seen before anything is announced. */
  readonly missing: readonly string[];
  /** Why the API is not reached, or does not show what is missing. */
  readonly apiProblem?: { readonly why: string; readonly next: string } | undefined;
  /** Why it cannot announce on layer 2. */
  readonly failed: string | undefined;
  /** Findings of the checks of its settings. */
  readonly findings: readonly Verdict[];
  /** Obstacles that keep BFD from working. */
  readonly bfdWarnings: readonly string[];
  /** Nodes between which and this one UDP of the ring is lost. */
  readonly lossy: readonly string[];
  /** Why failures of other nodes are found by the ring alone, although `failover` asks for BFD; undefined without a ring. */
  readonly pathProblems: readonly string[] | undefined;
  /** Why ConfigMaps that the node writes for all are not written. */
  readonly refusedWrites: readonly string[];
  /** See `viewAgeSeconds`. */
  readonly viewAge: number;
}

// A restart of the API server is no matter.
export const minOldSeconds = 60;

/** All verdicts on this node, the worst first; one verdict at least. */
export function nodeVerdicts(
  state: Pick<
    SpeakerState,
    | "node"
    | "announceFor"
    | "members"
    | "apiView"
    | "nodes"
    | "ownedPools"
    | "bgp"
    | "ignoreExcludeLabel"
    | "carriers"
    | "config"
    | "dataPath"
    | "healthPorts"
    | "handovers"
  >,
  facts: NodeFacts,
): readonly [Verdict, ...Verdict[]] {
  const { node, nodes, bgp, ignoreExcludeLabel } = state;
  const { missing, apiProblem, failed, findings, bfdWarnings, lossy, pathProblems, refusedWrites, viewAge } = facts;
  const found: Verdict[] = [];
  if (missing.length > 0) {
    const evidence = missing.map((value) => ({ name: "waits for", value, source: "speaker" }));
    const message = `the speaker on ${node} waits for ${list(missing)}${because(apiProblem)}`;
    found.push(verdict("node", "waiting", { message, evidence, ...remedyOf(apiProblem) }));
  }
  if (failed !== undefined)
    found.push(verdict("node", "layer2Unavailable", { message: `the speaker on ${node} cannot announce on layer 2: ${failed}` }));
  const undelivered = brokenFamilies(state);
  if (undelivered.length > 0) found.push(deliveryVerdict(state, undelivered));
  const unserved = unservedHere(state);
  if (unserved.length > 0)
    found.push(
      verdict("node", "cannotDeliver", {
        message: `${node} cannot deliver to Pods of ${counted(unserved.length, "Service")}: kube-proxy has no Pod of ${list(unserved.slice(0, maxNamed))} there, and the API has a ready one`,
        evidence: unserved.slice(0, maxNamed).map((value) => ({ name: "service", value, source: "node" })),
      }),
    );
  for (const { name, subnets, pools } of withoutCarrier(
    state.carriers,
    (state.config?.config.pools ?? [])
      .flatMap(layer2PoolsOf)
      .map((pool) => ({ ...pool, interfaces: interfacesHere(state, pool) })),
  )) {
    const facts = [
      { name: "interface", value: name, source: "node" },
      ...subnets.map((subnet) => ({ name: "subnet", value: `${subnet}`, source: "node" })),
      ...pools.map((pool) => ({ name: "pool", value: pool, source: "configuration" })),
    ];
    const message = `interface ${name} of ${node} is down or has no carrier`;
    found.push(verdict("node", "noCarrier", { message, evidence: facts.slice(0, maxFacts) }));
  }
  if (isOutdated(state) || viewAge >= minOldSeconds) found.push(apiVerdict(node, isOutdated(state), facts));
  if (!ignoreExcludeLabel && nodes.labels.get(node)?.[excludeLabel] !== undefined)
    found.push(verdict("node", "excluded", { message: `${node} has the label ${excludeLabel}: it announces nothing` }));
  else if (!ignoreExcludeLabel && isWithoutNetwork(state, node)) {
    const message = `${node} has the taint ${networkTaint}: it announces nothing`;
    found.push(verdict("node", "excluded", { message, next: networkRemedy(node) }));
  }
  if (nodes.taints.get(node)?.includes(outOfServiceTaint))
    found.push(
      verdict("node", "outOfService", { message: `${node} has the taint ${outOfServiceTaint}: others take over its addresses` }),
    );
  if (isDrained(nodes.labels.get(node), nodes.taints.get(node))) {
    const isKnown = isDrainedNode(state, node);
    const until =
      "its addresses stay until all speakers know of drained nodes, which those of MetalLB and of earlier versions do not";
    const message = `${node} is drained by its label ${drainLabel}: ${isKnown ? "others take over its addresses and routes" : until}`;
    found.push(verdict("node", "drained", { message }));
  }
  if (bgp.isDraining) found.push(verdict("node", "draining", { message: `${node} is cordoned or about to go` }));
  found.push(...findings);
  const hasFailover = state.config?.config.failover !== undefined;
  if (
    hasFailover &&
    state.announceFor === "all" &&
    state.members.gossip !== undefined &&
    state.members.active.length > 0 &&
    bgp.peers.some(({ peer }) => peer.bfdProfile !== undefined && !peer.ebgpMultihop)
  )
    found.push(
      verdict("node", "bfd", { message: `${node} has no BFD with routers: its node's speaker has UDP 3784 for failover` }),
    );
  for (const message of bfdWarnings) found.push(verdict("node", "bfd", { message }));
  for (const message of lossyWarnings(node, lossy)) found.push(verdict("node", "ringPacketsLost", { message }));
  const { foreign } = state.members;
  if (foreign.size > 0)
    found.push(
      verdict("node", "foreignMembers", {
        message: `${list([...foreign].sort())} ${foreign.size === 1 ? "is a member" : "are members"} of the speakers' ring of ${node}, and not of this cluster: another cluster has the same key. They own no addresses here`,
      }),
    );
  // A central speaker asks for no paths: the nodes watch one another.
  const slow = pathProblems ?? (hasFailover && state.announceFor !== "all" ? ["the speakers have no ring"] : []);
  if (slow.length > 0)
    found.push(verdict("node", "fastPathOff", { message: `${node} finds failures of nodes without BFD: ${slow.join("; ")}` }));
  const kept = new Set<string>(
    state.ownedPools.flatMap(({ keepConnections, ranges }) => (keepConnections ? ranges.map(({ family }) => family) : [])),
  );
  const broken = state.handovers.isWanted ? [...state.handovers.failures].filter(([family]) => kept.has(family)) : [];
  if (broken.length > 0) {
    const why = list(broken.map(([family, failure]) => `${family}: ${failure}`));
    const message = `${node} cannot keep open connections when an address moves to it: ${why}`;
    found.push(verdict("node", "handoverUnavailable", { message }));
  }
  const [refused] = refusedWrites;
  if (refused !== undefined) {
    const others = refusedWrites.length > 1 ? ` (and ${refusedWrites.length - 1} more)` : "";
    const evidence = refusedWrites.map((value) => ({ name: "refused", value, source: "API" }));
    const message = `what ${node} reports for all nodes is refused: ${refused}${others}`;
    found.push(verdict("node", "notReported", { message, evidence }));
  }
  const worstFirst = [...found.filter(({ state }) => state === "Pending"), ...found.filter(({ state }) => state !== "Pending")];
  const [first, ...rest] = worstFirst;
  return first === undefined ? [verdict("node", "ready", { message: `the speaker on ${node} does its work` })] : [first, ...rest];
}

// The most Services that a message names.
const maxNamed = 5;
const maxFacts = 20;

const pathFaults: Readonly<Record<PathFault, string>> = {
  forwardingOff: "its kernel does not forward packets",
  conntrackFull: "its kernel drops packets, because its table of connections is full",
  noPodRoute: "its kernel has no route to its Pods",
  ipv6Off: "IPv6 is off on its NIC",
  proxySilent: "kube-proxy does not say that it is healthy, and no Service answers",
  noConnection: "Services do not answer its own connections to their cluster IPs",
};

const podsOfNode = "kubectl -n kube-system get pods -o wide --field-selector spec.nodeName=NODE";

function remedies(fault: PathFault, of: readonly Family[], nics: DataPaths["nics"]): readonly string[] {
  switch (fault) {
    case "forwardingOff":
      return of.map((family) => {
        if (family === "IPv6") return "sysctl -w net.ipv6.conf.all.forwarding=1";
        return `sysctl -w net.ipv4.${nics.IPv4 === undefined ? "ip_forward" : `conf.${nics.IPv4.replaceAll(".", "/")}.forwarding`}=1`;
      });
    case "conntrackFull":
      return [
        "sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max, and raise the second one there by sysctl -w",
      ];
    case "noPodRoute":
      return [`see whether the network plugin runs on the node: ${podsOfNode}`];
    case "ipv6Off":
      if (nics.IPv6 === undefined) return [causes.node.ipv6Disabled.next];
      return [
        `sysctl -w net.ipv6.conf.${nics.IPv6.replaceAll(".", "/")}.disable_ipv6=0; ip link set ${nics.IPv6} mtu 1280, if its MTU is smaller`,
      ];
    case "proxySilent":
    case "noConnection":
      return [`see whether kube-proxy and the network plugin run on the node: ${podsOfNode}`];
    default:
      return fault satisfies never;
  }
}

function deliveryVerdict(state: Pick<SpeakerState, "node" | "members" | "config" | "dataPath">, of: readonly Family[]): Verdict {
  const { node, dataPath } = state;
  const faults = [...new Set(of.flatMap((family) => dataPath[family].broken))];
  const packets = of.length === 1 ? `${of[0]} packets ` : "";
  const what = `${node} cannot deliver ${packets}to Pods`;
  const why = list(faults.map((fault) => pathFaults[fault]));
  const evidence = faults.map((value) => ({ name: "sign", value, source: "node" }));
  if (of.every((family) => nobodyDelivers(state, family)))
    return verdict("node", "nobodyDelivers", { message: `${what}, and no other node can: ${why}`, evidence });
  // Signs are the last ones until the node counts as able again.
  const holdSeconds = Math.max(...of.map((family) => dataPath[family].holdMs)) / 1_000;
  const isWell = of.every((family) => dataPath[family].healthySince !== Infinity);
  const isOver = `${node} delivers ${packets}to Pods again, and gets addresses once it has for ${holdSeconds} s; before that, ${why}`;
  const stays = of.every((family) => isUndelivering(state, family))
    ? ""
    : "; its addresses stay, because all pools have announce-when: alive, or a speaker of MetalLB or of an earlier version knows nothing of that";
  const next = isWell ? "wait" : [...new Set(faults.flatMap((fault) => remedies(fault, of, dataPath.nics)))].join("; ");
  return verdict("node", "cannotDeliver", { message: `${isWell ? isOver : `${what}: ${why}`}${stays}`, evidence, next });
}

/** One sentence at most, for all nodes. */
export function lossyWarnings(node: string, lossy: readonly string[]): readonly string[] {
  if (lossy.length === 0) return [];
  return [`UDP packets of the speakers' ring are lost between ${node} and ${list(lossy)}, which TCP or other nodes still reach`];
}

function because(problem: NodeFacts["apiProblem"]): string {
  return problem === undefined ? "" : ` (${problem.why})`;
}

/** A remedy for this very failure is better than the general one. */
function remedyOf(problem: NodeFacts["apiProblem"]): { readonly next?: string } {
  return problem === undefined || problem.next === "" ? {} : { next: problem.next };
}

function apiVerdict(node: string, isOutdated: boolean, { viewAge, apiProblem }: NodeFacts): Verdict {
  const evidence = [{ name: "seconds without the API", value: `${viewAge}`, source: "API" }];
  const message = `the speaker on ${node} has not reached the API for ${viewAge} s${because(apiProblem)}`;
  const details = { evidence, ...remedyOf(apiProblem) };
  if (isOutdated) return verdict("node", "apiViewOld", { message: `${message}, and other speakers reach it`, ...details });
  return verdict("node", "apiUnreachable", {
    message: `${message}, and no other that it knows of has either: it goes on announcing what it knows`,
    ...details,
  });
}

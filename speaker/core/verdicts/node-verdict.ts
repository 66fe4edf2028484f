import { drainLabel, excludeLabel, isDrained, outOfServiceTaint } from "#pkg/placement";
import { list } from "#pkg/text";
import { type Verdict, verdict } from "#pkg/verdict";
import { nobodyDelivers } from "../data-path/data-path.ts";
import type { PathFault } from "../data-path/data-path-state.ts";
import { withoutCarrier } from "../interfaces/carriers.ts";
import { isOutdated } from "../members/api-view.ts";
import { isDrainedNode } from "../members/nodes.ts";
import type { SpeakerState } from "../state.ts";

/** Facts about a node besides the core's state. */
export interface NodeFacts {
  /** Resources that have to be seen before anything is announced. */
  readonly missing: readonly string[];
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
  /** See `viewAgeSeconds`. */
  readonly viewAge: number;
}

// A restart of the API server is no matter.
export const minOldSeconds = 60;

/** All verdicts on this node, the worst first; one verdict at least. */
export function nodeVerdicts(
  state: Pick<
    SpeakerState,
    "node" | "members" | "apiView" | "nodes" | "bgp" | "ignoreExcludeLabel" | "carriers" | "config" | "dataPath" | "handovers"
  >,
  facts: NodeFacts,
): readonly [Verdict, ...Verdict[]] {
  const { node, nodes, bgp, ignoreExcludeLabel } = state;
  const { missing, failed, findings, bfdWarnings, lossy, pathProblems, viewAge } = facts;
  const found: Verdict[] = [];
  if (missing.length > 0) {
    const evidence = missing.map((value) => ({ name: "waits for", value, source: "speaker" }));
    found.push(verdict("node", "waiting", { message: `the speaker on ${node} waits for ${list(missing)}`, evidence }));
  }
  if (failed !== undefined)
    found.push(verdict("node", "layer2Unavailable", { message: `the speaker on ${node} cannot announce on layer 2: ${failed}` }));
  if (state.dataPath.broken.length > 0) found.push(deliveryVerdict(state));
  for (const { name } of withoutCarrier(state.carriers, state.config?.config.pools ?? []))
    found.push(verdict("node", "noCarrier", { message: `interface ${name} of ${node} is down or has no carrier` }));
  if (isOutdated(state) || viewAge >= minOldSeconds) found.push(apiVerdict(node, isOutdated(state), viewAge));
  if (!ignoreExcludeLabel && nodes.labels.get(node)?.[excludeLabel] !== undefined)
    found.push(verdict("node", "excluded", { message: `${node} has the label ${excludeLabel}: it announces nothing` }));
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
  for (const message of bfdWarnings) found.push(verdict("node", "bfd", { message }));
  for (const message of lossyWarnings(node, lossy)) found.push(verdict("node", "ringPacketsLost", { message }));
  const withoutRing = state.config?.config.failover === undefined ? [] : ["the speakers have no ring"];
  const slow = pathProblems ?? withoutRing;
  if (slow.length > 0)
    found.push(verdict("node", "fastPathOff", { message: `${node} finds failures of nodes without BFD: ${slow.join("; ")}` }));
  if (state.handovers.isWanted && state.handovers.failures.size > 0) {
    const why = list([...state.handovers.failures].map(([family, failure]) => `${family}: ${failure}`));
    const message = `${node} cannot keep open connections when an address moves to it: ${why}`;
    found.push(verdict("node", "handoverUnavailable", { message }));
  }
  const worstFirst = [...found.filter(({ state }) => state === "Pending"), ...found.filter(({ state }) => state !== "Pending")];
  const [first, ...rest] = worstFirst;
  return first === undefined ? [verdict("node", "ready", { message: `the speaker on ${node} does its work` })] : [first, ...rest];
}

const pathFaults: Readonly<Record<PathFault, string>> = {
  forwardingOff: "its kernel does not forward IPv4 packets",
  conntrackFull: "its kernel drops packets, because its table of connections is full",
  noPodRoute: "its kernel has no route to its Pods any more",
  proxySilent: "kube-proxy does not say that it is healthy, and no Service answers",
  noConnection: "Services that answered before do not answer its own connections to their cluster IPs",
};

function deliveryVerdict(state: Pick<SpeakerState, "node" | "members" | "dataPath">): Verdict {
  const { node, dataPath } = state;
  const why = list(dataPath.broken.map((fault) => pathFaults[fault]));
  const evidence = dataPath.broken.map((value) => ({ name: "sign", value, source: "node" }));
  if (nobodyDelivers(state))
    return verdict("node", "nobodyDelivers", {
      message: `${node} cannot deliver to Pods, and no other node can: ${why}`,
      evidence,
    });
  return verdict("node", "cannotDeliver", { message: `${node} cannot deliver to Pods: ${why}`, evidence });
}

/** One sentence at most, for all nodes. */
export function lossyWarnings(node: string, lossy: readonly string[]): readonly string[] {
  if (lossy.length === 0) return [];
  return [`UDP packets of the speakers' ring are lost between ${node} and ${list(lossy)}, which TCP or other nodes still reach`];
}

function apiVerdict(node: string, isOutdated: boolean, viewAge: number): Verdict {
  const evidence = [{ name: "seconds without the API", value: `${viewAge}`, source: "API" }];
  const message = `the speaker on ${node} has not reached the API for ${viewAge} s`;
  if (isOutdated) return verdict("node", "apiViewOld", { message: `${message}, and other speakers reach it`, evidence });
  return verdict("node", "apiUnreachable", {
    message: `${message}, and no other that it knows of has either: it goes on announcing what it knows`,
    evidence,
  });
}

import { isIn } from "#pkg/collections";
import { limits, type Pool } from "#pkg/config";
import { isCentral } from "#pkg/gossip";
import type { Address } from "#pkg/net";
import type { AddressPlacement, PlacementRefusal } from "#pkg/placement";
import { drainLabel, eligibility, excludeLabel, isDrained, isSelected, networkTaint, outOfServiceTaint } from "#pkg/placement";
import { list } from "#pkg/text";
import { causes, type Fact, remedyFor, type Verdict, verdict } from "#pkg/verdict";
import { interfacesText, outOfServiceNodes } from "../members/nodes.ts";
import { layer2PoolAt, type ObstacleReason, poolAt, type SpeakerState } from "../state.ts";

type State = Pick<
  SpeakerState,
  "node" | "announceFor" | "config" | "slots" | "placements" | "members" | "nodes" | "ignoreExcludeLabel"
>;
type Policy = "Cluster" | "Local";
type Placed = Pick<AddressPlacement, "address" | "isOwned" | "pool" | "protocol" | "owner">;

/** The facts about the Service for which an address is not announced. */
interface Refused {
  readonly policy: Policy;
  /** How many of its endpoints serve nothing. */
  readonly idle: number;
  /** Nodes that announced it, and do not hear of changes. */
  readonly unaware?: readonly string[];
}

/** Why no node at all may announce an address, although there are speakers and endpoints. */
export type Obstacle = PlacementRefusal & { readonly reason: ObstacleReason };

const obstacleReasons: readonly ObstacleReason[] = [
  "noNodeSelected",
  "nodeExcluded",
  "noInterface",
  "noKernelAccess",
  "notInSubnet",
];

export function isObstacle(refusal: PlacementRefusal): refusal is Obstacle {
  return obstacleReasons.some((reason) => reason === refusal.reason);
}

type Reason = PlacementRefusal["reason"];

/** Reasons of which nothing has to be said but a sentence. */
const messages: Readonly<
  Record<
    Exclude<
      Reason,
      ObstacleReason | "noReadyEndpoint" | "noReadyEndpointOnActiveNode" | "noReadyEndpointOnOwner" | "noActiveSpeaker"
    >,
    (node: string, placed: Placed) => string
  >
> = {
  ipNotAllowed: (_, { address }) =>
    `${address} is in no pool of the configuration in force, or not in the pool of the Service's first address, or an older Service on it has other backends`,
  sharedByTooMany: (_, { address }) =>
    `more than ${limits.holdersOfAddress} Services share ${address}, and this one is not among the oldest`,
  noReadyEndpointOnNode: (node, { address }) =>
    `${node} has no ready endpoint, and externalTrafficPolicy is Local: it does not announce ${address}`,
  noPeer: (node, { address, pool }) =>
    isCentral(node)
      ? `no advertisement of pool ${pool} that has a peer leads to a node that serves ${address}: ${node} does not announce it`
      : `${node} has no peer for an advertisement of pool ${pool}: it does not announce ${address}`,
  noNextHop: (node, { address }) =>
    `no node that lives and may have traffic has an InternalIP of the family of ${address}: ${node} has no next hop for it`,
  notAdvertised: (_, { address, isOwned, pool }) =>
    `no ${isOwned ? "layer2" : "bgp"}-advertisements entry of pool ${pool} is for this Service, or for the oldest one on ${address}`,
  localBySlots: (_, { address, pool }) =>
    `routers send packets for ${address} to the next-hop slots of pool ${pool}, which any node may own, and externalTrafficPolicy is Local: no node announces it`,
  apiViewOld: (node, { address }) =>
    `${node} has an old view of the API, and leaves ${address} to nodes that reach it (externalTrafficPolicy Local)`,
  cannotDeliver: (node, { address }) => `${node} cannot deliver to Pods, and leaves ${address} to nodes that can`,
  protocolNone: (_, { address, pool }) => `pool ${pool} has protocol: none, so that ${address} is announced by no speaker`,
};

/** Why the address is not announced for a Service. By BGP and in its kernel each node answers for itself. */
export function refusalVerdict(state: State, placed: Placed, refusal: PlacementRefusal, refused: Refused): Verdict {
  const { node } = state;
  const { address, isOwned, owner } = placed;
  switch (refusal.reason) {
    case "noReadyEndpoint":
      return unreadyVerdict(`${address}`, refused);
    case "noReadyEndpointOnActiveNode": {
      const tainted = outOfServiceNodes(state);
      const where = tainted.length === 0 ? "" : ` and without the taint ${outOfServiceTaint}`;
      return verdict("service", refusal.reason, {
        message: `no node with a running speaker${where} has a ready endpoint, as externalTrafficPolicy Local asks for: ${address} is announced by no node`,
        evidence: taintFacts(tainted),
      });
    }
    case "noActiveSpeaker":
      return noSpeakerVerdict("service", state, isOwned ? undefined : node, `${address}`);
    case "noReadyEndpointOnOwner":
      return verdict("service", refusal.reason, {
        message: `${owner} announces ${address}, which the Service shares, and has none of its ready endpoints (externalTrafficPolicy Local)`,
        evidence: [{ name: "owner", value: `${owner}`, source: "placement" }],
      });
    case "nodeExcluded":
      if (isOwned) return obstacleVerdict(state, placed, refusal, refused.policy);
      return awayVerdict(state, placed);
    case "noNodeSelected":
    case "noInterface":
    case "noKernelAccess":
    case "notInSubnet":
      return obstacleVerdict(state, placed, refusal as Obstacle, refused.policy);
    case "noPeer":
      return withoutCentral(state, `${address}`) ?? verdict("service", "noPeer", { message: messages.noPeer(node, placed) });
    default:
      return verdict("service", refusal.reason, { message: messages[refusal.reason](node, placed) });
  }
}

/** Where central speakers have the sessions of this node, and the ring has none of them. */
export function withoutCentral({ announceFor, members }: State, address: string): Verdict | undefined {
  const { gossip, central } = members;
  if (announceFor !== "node-without-bgp" || gossip === undefined || central.length > 0) return undefined;
  return verdict("service", "noPeer", {
    message: `central speakers have the BGP sessions of all nodes, and none is in the ring: no node announces ${address}`,
    next: "see the Deployment of the central speakers, and its Pods: kubectl -n metallb-system get deployments,pods",
  });
}

/** Why this node, which speaks for itself, is to announce nothing of the pool. */
function awayVerdict(state: State, { address, pool }: Placed): Verdict {
  const { node, nodes, ignoreExcludeLabel } = state;
  const labels = nodes.labels.get(node);
  const which = Object.hasOwn(labels ?? {}, excludeLabel) ? `label ${excludeLabel}` : `taint ${networkTaint}`;
  const isExcluded = eligibility([], labels, ignoreExcludeLabel, nodes.taints.get(node)) === "excluded";
  if (isExcluded)
    return verdict("service", "nodeExcluded", {
      message: `${node} has the ${which}: it does not announce ${address}`,
      next: excludedRemedy(state, [node]),
    });
  if (isDrained(labels, nodes.taints.get(node)))
    return verdict("service", "nodeExcluded", {
      message: `${node} is drained by its label ${drainLabel}: it leaves ${address} to other nodes`,
      next: remedyFor(causes.node.drained, "node", node),
    });
  return verdict("service", "noNodeSelected", {
    message: `the node-selectors of pool ${pool} do not match ${node}: it does not announce ${address}`,
  });
}

/** Why no node announces the address, where each speaks for itself: labels or taints keep these from it. */
export function allAwayVerdict(state: Pick<State, "members" | "nodes">, address: Address, away: readonly string[]): Verdict {
  const tainted = outOfServiceNodes(state);
  const excluded = away.filter((node) => !tainted.includes(node));
  if (excluded.length === 0) return noSpeakerVerdict("service", state, undefined, `${address}`);
  const also = tainted.length === 0 ? "" : `, and the taint ${outOfServiceTaint} ${list(tainted)}`;
  return verdict("service", "nodeExcluded", {
    message: `${address} is announced by no node: the label ${excludeLabel}${orTaint(state, excluded)} excludes ${list(excluded)}${also}`,
    next: excludedRemedy(state, excluded),
  });
}

function unreadyVerdict(address: string, { idle, unaware = [] }: Omit<Refused, "policy">): Verdict {
  const but = unaware.length === 0 ? "" : ` that reaches the API, and may still be by ${list(unaware)}`;
  const message = `no endpoint is ready (the Service has ${idle || "none"}), so that ${address} is announced by no node${but}`;
  const next =
    idle === 0
      ? "kubectl -n NAMESPACE get service NAME -o wide, and see whether its selector matches Pods that run"
      : causes.service.noReadyEndpoint.next;
  return verdict("service", "noReadyEndpoint", { message, next });
}

/** @param node that speaks for itself; undefined where all nodes together have an owner @param what an address or a pool */
export function noSpeakerVerdict(
  kind: "service" | "pool",
  state: Pick<SpeakerState, "members" | "nodes">,
  node: string | undefined,
  what: string,
): Verdict {
  const tainted = node === undefined ? outOfServiceNodes(state) : [node];
  if (tainted.length === 0)
    return verdict(kind, "noActiveSpeaker", { message: `no node has a working speaker, so that none announces ${what}` });
  const message =
    node === undefined
      ? `all nodes with a working speaker have the taint ${outOfServiceTaint}, so that none announces ${what}`
      : `${node} has the taint ${outOfServiceTaint}: it does not announce ${what}`;
  const next = remedyFor(causes.node.outOfService, "node", tainted[0] ?? "");
  return verdict(kind, "noActiveSpeaker", { message, evidence: taintFacts(tainted), next });
}

function taintFacts(nodes: readonly string[]): Fact[] {
  return nodes.length === 0 ? [] : [{ name: `nodes with the taint ${outOfServiceTaint}`, value: list(nodes), source: "Nodes" }];
}

/** For the owner of the Service: what is not announced, and why no node may. */
export function obstacleVerdict(
  state: Omit<State, "node">,
  { address, pool: name, protocol }: Pick<AddressPlacement, "address" | "pool" | "protocol">,
  obstacle: Obstacle,
  policy: Policy,
): Verdict {
  const pool = layer2PoolAt(state, address);
  const entry = entryOf(poolAt(state, address), pool);
  const isOneOfSeveral = (pool?.protocols.length ?? 1) > 1;
  const isOnNic = protocol === "interface";
  const by = isOnNic ? " with the address on a NIC" : " on layer 2";
  const start = `${address} of pool ${name} is announced by no node${isOneOfSeveral ? by : ""}`;
  switch (obstacle.reason) {
    case "nodeExcluded":
      return verdict("service", obstacle.reason, {
        message: `${start}: every candidate has the label ${excludeLabel}${orTaint(state, obstacle.nodes)} (${list(obstacle.nodes)})`,
        evidence: nodeFacts(obstacle.nodes, "Nodes"),
        next: excludedRemedy(state, obstacle.nodes),
      });
    case "noInterface":
      return verdict("service", obstacle.reason, {
        message: `${start}: no candidate has an interface for the pool that is up and has a carrier${interfacesText(state, pool, obstacle.nodes) || ` (${list(obstacle.nodes)})`}`,
        evidence: nodeFacts(obstacle.nodes, "ring"),
        next: remedyAt(entry, causes.service.noInterface),
      });
    case "noKernelAccess":
      return verdict("service", obstacle.reason, {
        message: `${start}: the speaker of no candidate may put it on a NIC (${list(obstacle.nodes)})`,
        evidence: nodeFacts(obstacle.nodes, "ring"),
      });
    case "notInSubnet": {
      const subnets = obstacle.nodes.map(({ node, subnets }) => `${node}: ${subnets.join(" ") || "none"}`);
      return verdict("service", obstacle.reason, {
        message:
          `${start}: the pool's ${isOnNic ? "placement" : "l2-placement"} asks for a node with an address in the same subnet, and no candidate has one ` +
          `(${list(subnets)})`,
        evidence: [{ name: "subnets of candidates", value: list(subnets), source: "ring" }],
      });
    }
    case "noNodeSelected": {
      const wanted =
        policy === "Local" ? "a running speaker and, for externalTrafficPolicy Local, a ready endpoint" : "a running speaker";
      const { cause, why, next } = selectedInVain(state, pool);
      const selectors = entry === undefined ? "the pool's node-selectors" : `the node-selectors of the pool or its ${entry}`;
      const message = `${start}: ${selectors} match none that has ${wanted}${why}`;
      return verdict("service", cause, { message, next: next || remedyAt(entry, causes.service.noNodeSelected) });
    }
    default:
      return obstacle satisfies never;
  }
}

/** The entry of `layer2-advertisements` that is for some Services; undefined for the pool itself. @param own the pool as these have it */
export function entryOf(pool: Pool | undefined, own: Pool | undefined): string | undefined {
  const entry = pool?.layer2Advertisements.findIndex((each) => each.pool === own) ?? -1;
  return entry < 0 ? undefined : `layer2-advertisements[${entry}]`;
}

/** A list that an entry does not have is that of the pool. @param entry see `entryOf` */
export function remedyAt(entry: string | undefined, { next }: { readonly next: string }): string {
  if (entry === undefined) return next;
  return next
    .replace("the node-selectors of the pool", `the node-selectors of the pool or its ${entry}`)
    .replace("the pool's interfaces", `the interfaces of the pool or its ${entry}`);
}

/** Nodes that a pool selects, and that count as without a speaker: in words, and what to do about the first of them. Empty texts without such nodes. */
export function selectedInVain({ nodes, members }: Pick<State, "nodes" | "members">, pool: Pool | undefined) {
  const isMatch = (node: string) => isSelected(pool?.nodeSelectors ?? [], nodes.labels.get(node));
  const tainted = outOfServiceNodes({ nodes, members }).filter(isMatch);
  const gone = [...members.missing.keys()].filter((node) => !isIn(members.active, node) && isMatch(node));
  const [first] = tainted;
  if (first === undefined && gone.length === 0) return { cause: "noNodeSelected", why: "", next: "" } as const;
  const which =
    first === undefined
      ? `${list(gone)}, whose speaker is not seen any more`
      : `${list(tainted)}, with the taint ${outOfServiceTaint}`;
  const next = first === undefined ? causes.pool.noActiveSpeaker.next : remedyFor(causes.node.outOfService, "node", first);
  return { cause: "noActiveSpeaker", why: ` (they match ${which})`, next } as const;
}

/** The other reason for which one of the nodes may be excluded. */
export function orTaint(state: Pick<State, "nodes">, nodes: readonly string[]): string {
  return nodes.some((node) => isWithoutNetwork(state, node)) ? ` or the taint ${networkTaint}` : "";
}

export function excludedRemedy(state: Pick<State, "nodes">, nodes: readonly string[]): string {
  const node = nodes.find((one) => isWithoutNetwork(state, one));
  return node === undefined ? remedyFor(causes.service.nodeExcluded, "node", nodes[0] ?? "") : networkRemedy(node);
}

export function isWithoutNetwork({ nodes: { taints } }: Pick<State, "nodes">, node: string): boolean {
  return taints.get(node)?.includes(networkTaint) === true;
}

/** Kubernetes takes the taint away itself. */
export function networkRemedy(node: string): string {
  return `kubectl describe node ${node} says by its condition NetworkUnavailable what its network lacks`;
}

function nodeFacts(nodes: readonly string[], source: string): Fact[] {
  return [{ name: "candidates", value: list(nodes), source }];
}

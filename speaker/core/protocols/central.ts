import type { Pool } from "#pkg/config";
import { isCentral } from "#pkg/gossip";
import { type Address, families } from "#pkg/net";
import { advertisedBy, type CentralAdvertisements, centralPeers, pathIdentifiers, type ServedNode } from "#pkg/placement";
import { isHeard } from "../members/followed-nodes.ts";
import { eligibilityOf, isDrainedNode, undeliveringFor } from "../members/nodes.ts";
import { slotPaths } from "../placement/slots.ts";
import type { SpeakerState } from "../state.ts";

// What a central speaker knows of the nodes that it announces for. The ring says which of them live. It says so sooner than the API does, and it may
// be cut: of a node that this speaker lost with most others, or where it sees no member at all, the API's word counts.

/** Looks at the nodes again. @returns whether routes may be others */
export function serveNodes(state: SpeakerState): boolean {
  const { nodes, members, served } = state;
  const may = livingNodes(state).filter((node) => nodes.labels.has(node) && eligibilityOf(state, [], node) === "eligible");
  const of = may.map((name) => ({ name, labels: nodes.labels.get(name), addresses: nodes.addresses.get(name) ?? [] }));
  const drained = may.filter((node) => isDrainedNode(state, node));
  const others = members.gossip?.undelivering(members.active) ?? [];
  const facts = JSON.stringify([of, drained, others, members.withoutGossip, isOutdated(state)], (_, value) =>
    typeof value === "bigint" ? `${value}` : value,
  );
  if (facts === served.facts) return false;
  const identifiers = pathIdentifiers(of.flatMap(({ addresses }) => addresses));
  const found = of.map(({ name, labels, addresses }): [string, ServedNode] => {
    const paths = families.flatMap((family) => {
      const nextHop = addresses.find((address) => address.family === family);
      return nextHop === undefined ? [] : [[family, pathTo(nextHop, identifiers)] as const];
    });
    return [name, { name, labels, paths: new Map(paths) }];
  });
  state.served = { nodes: new Map(found), drained: new Set(drained), facts };
  state.bgp.advertisements.clear();
  return true;
}

function pathTo(nextHop: Address, identifiers: ReadonlyMap<string, number>) {
  return { path: identifiers.get(nextHop.toString()) ?? 1, nextHop, isOwn: false };
}

function livingNodes({ members, nodes }: SpeakerState): readonly string[] {
  const { active, lost, gossip } = members;
  const heard = [...nodes.labels.keys()].filter((node) => isHeard(nodes.taints.get(node) ?? []));
  // An API that hears of no kubelet is the one that is cut off.
  const byApi = heard.length > 0 ? heard : [...nodes.labels.keys()];
  if (gossip === undefined || active.length === 0) return byApi.sort();
  const gone = [...lost].filter((node) => !active.includes(node) && !isCentral(node));
  if (gone.length <= active.length) return active;
  return [...active, ...gone.filter((node) => byApi.includes(node))].sort();
}

/** Whether this speaker's view of the API is old, and another central speaker, which has a current one, announces for it. */
function isOutdated({ node, members: { central, gossip }, apiView }: SpeakerState): boolean {
  if (apiView.view !== "old" || gossip === undefined) return false;
  return central.some((other) => other !== node && gossip.isParticipating(other) && gossip.view(other) === "current");
}

/** What this central speaker can do for a pool. @param entries of the pool, or for one Service */
export function centralAdvertisements(
  state: SpeakerState,
  pool: Pool,
  entries: CentralAdvertisements["entries"],
): CentralAdvertisements {
  const { served, bgp, config, node } = state;
  const undelivering = undeliveringFor(state, pool);
  const central = {
    pool,
    node,
    eligibility: "eligible",
    entries,
    slots: slotPaths(state, pool),
    order: bgp.orders.get(pool) ?? 0,
    peers: centralPeers(config?.config.peers ?? []),
    nodes: served.nodes,
    spared: { Cluster: served.drained.union(new Set(undelivering)), Local: new Set(undelivering) },
    isOutdated: isOutdated(state),
    ofCluster: new Map(),
    ofNode: new Map(),
    ofNodes: new Map(),
  } as const;
  return { ...central, advertised: advertisedBy({ ...central, advertised: [] }, [...served.nodes.keys()]) };
}

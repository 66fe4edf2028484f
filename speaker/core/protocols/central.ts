import type { Millis } from "#pkg/clock";
import type { Pool } from "#pkg/config";
import { centralName, isCentral } from "#pkg/gossip";
import { type Address, type Family, families } from "#pkg/net";
import {
  advertisedCentrally,
  type CentralAdvertisements,
  centralPeers,
  type Holder,
  type ServedNode,
  servedNodes,
} from "#pkg/placement";
import type { SpeakerEffect, WatchedNode } from "../effects.ts";
import { isHeard } from "../members/followed-nodes.ts";
import { drainedAmong, eligibilityOf, undeliveringAt, undeliveringFor } from "../members/nodes.ts";
import { slotPaths } from "../placement/slots.ts";
import type { SpeakerState } from "../state.ts";
import type { Placing } from "./protocol.ts";

// A central speaker announces for other nodes. The ring says which of them live. It says so sooner than the API does, and it may
// be cut: of a node that this speaker lost with most others, or where it sees no member at all, the API's word counts. It counts too, for a while, of
// nodes that the ring has not met yet. Nodes without a speaker are watched by BFD besides, where the configuration asks for failover.

// Longer than until all Pods are joined again (60 s) after some could not be. Kubernetes finds a node dead that ended before within 40 s.
const meetingMs: Millis = 90_000;

/** Looks at the nodes again. @returns whether routes may be others */
export function serveNodes(state: SpeakerState, now: Millis, effects: SpeakerEffect[]): boolean {
  const { nodes, members, served } = state;
  noteMet(state, now);
  watchNodes(state, effects);
  const may = nodesToServe(state);
  const of = may.map((name) => ({ name, labels: nodes.labels.get(name), addresses: nodes.addresses.get(name) ?? noAddresses }));
  const drained = drainedAmong(state, may);
  const cordoned = may.filter((node) => nodes.cordoned.has(node));
  const others = families.map((family) => members.gossip?.undelivering(members.active, family) ?? []);
  const facts = JSON.stringify([may, [...drained], cordoned, others, members.withoutGossip, isOutdated(state)]);
  if (facts === served.facts && of.every((node) => isAsServed(served.nodes, node))) return false;
  state.served = { nodes: servedNodes(of), drained, cordoned: new Set(cordoned), facts };
  state.bgp.advertisements.clear();
  return true;
}

const noAddresses: readonly Address[] = [];

/** Whether a node is as it was. The text of a thousand nodes' labels takes 5 ms, and there are events that change none of them. */
function isAsServed(served: SpeakerState["served"]["nodes"], { name, labels, addresses }: Omit<ServedNode, "paths">): boolean {
  const before = served.get(name);
  if (before === undefined) return false;
  if (before.labels === labels && before.addresses === addresses) return true;
  if (JSON.stringify(before.labels) !== JSON.stringify(labels) || before.addresses.join() !== addresses.join()) return false;
  served.set(name, { ...before, labels, addresses }); // The API has told the same once more.
  return true;
}

function noteMet({ members: { active }, nodes, unmet, isStarted }: SpeakerState, now: Millis): void {
  const { met, until } = unmet;
  if (until === undefined && isStarted) unmet.until = now + meetingMs;
  else if (until !== undefined && now >= until) unmet.until = Infinity; // From now on they count as lost.
  for (const node of met) if (!nodes.labels.has(node)) met.delete(node);
  for (const node of active) met.add(node);
}

/** Asks for BFD with all nodes, once it is certain that none has a speaker in the ring: else that speaker has BFD's port on this node. */
function watchNodes({ node, members, nodes, config, unmet }: SpeakerState, effects: SpeakerEffect[]): void {
  const isAlone = members.gossip === undefined || (unmet.met.size === 0 && unmet.until === Infinity);
  const isWatching = config?.config.failover !== undefined && isAlone;
  const watched: WatchedNode[] = [];
  for (const [name, [first]] of isWatching ? nodes.addresses : [])
    if (first !== undefined && centralName(name) !== node) watched.push({ name, address: first.toString() });
  const text = watched.map(({ name, address }) => `${name} ${address}`).join();
  if (text === unmet.watched) return;
  unmet.watched = text;
  effects.push({ type: "watchNodes", nodes: watched });
}

/** Living nodes that may serve. Where there are none, paths to nodes that the ring never met are better than no path at all. */
function nodesToServe(state: SpeakerState): readonly string[] {
  const { living, unmet } = knownNodes(state);
  const may = (node: string) => state.nodes.labels.has(node) && eligibilityOf(state, [], node) === "eligible";
  const some = living.filter(may);
  return (some.length > 0 ? some : unmet.filter(may)).sort();
}

interface KnownNodes {
  readonly living: readonly string[];
  /** The API hears of them, and the ring has not met them since this speaker started. */
  readonly unmet: readonly string[];
}

function knownNodes({ members, nodes, unmet: { met, pods, until, failed } }: SpeakerState): KnownNodes {
  const { active, lost, gossip } = members;
  const heard = [...nodes.labels.keys()].filter((node) => isHeard(nodes.taints.get(node) ?? []));
  // An API that hears of no kubelet is the one that is cut off.
  const byApi = heard.length > 0 ? heard : [...nodes.labels.keys()];
  if (gossip === undefined || active.length === 0) {
    // Where most paths have failed, this speaker is the one that is cut off.
    const reached = byApi.filter((node) => !failed.has(node));
    return { living: reached.length * 2 >= byApi.length ? reached : byApi, unmet: [] };
  }
  // A node without a speaker, such as one of another system, is no node to serve.
  const unmet = byApi.filter((node) => !met.has(node) && (pods?.has(node) ?? true));
  const isMeeting = until !== Infinity;
  const lostNow = [...lost].filter((node) => !active.includes(node) && !isCentral(node));
  const gone = isMeeting ? lostNow : [...lostNow, ...unmet];
  const kept = new Set(gone.length <= active.length ? [] : gone).intersection(new Set(byApi));
  return { living: [...active, ...(isMeeting ? unmet : []), ...kept], unmet };
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
  const marking = bgp.peers.filter(({ peer }) => peer.drainWhenCordoned);
  const unable = (family: Family) => new Set(undeliveringFor(state, pool, family));
  return advertisedCentrally({
    pool,
    node,
    entries,
    slots: slotPaths(state, pool),
    order: bgp.orders.get(pool) ?? 0,
    peers: centralPeers(config?.config.peers ?? []),
    nodes: served.nodes,
    undelivering: { IPv4: unable("IPv4"), IPv6: unable("IPv6") },
    drained: served.drained,
    cordoned: { nodes: served.cordoned, peers: new Set(marking.map((found) => found.key)) },
    isOutdated: isOutdated(state),
  });
}

/** Under `Local` with the Pods of nodes alone that deliver packets for the address, where there are any. */
export function deliveredHolders(state: SpeakerState, { address, holders, pool }: Placing): readonly Holder[] {
  const unable = undeliveringAt(state, pool, address);
  if (unable.length === 0) return holders;
  return holders.map((holder) => {
    const able = holder.endpoints.filter(({ nodeName, ready }) => ready > 0 && !unable.includes(nodeName ?? ""));
    return holder.externalTrafficPolicy === "Cluster" || able.length === 0 ? holder : { ...holder, endpoints: able };
  });
}

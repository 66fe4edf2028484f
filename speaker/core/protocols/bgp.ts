import type { Millis } from "#pkg/clock";
import { remembered } from "#pkg/collections";
import { type Config, differByService, limits, type Pool, type ServiceAdvertisements } from "#pkg/config";
import type { Deliveries } from "#pkg/gossip";
import type { InterfaceState } from "#pkg/layer2";
import { type Address, type Family, families } from "#pkg/net";
import {
  type CentralAdvertisements,
  centralSessions,
  type Holder,
  isByBgp,
  type NodePeer,
  oldestOf,
  type PoolAdvertisements,
  peersFor,
  placeBgp,
  placeCentral,
  poolAdvertisements,
  type SlotPaths,
  type Surroundings,
} from "#pkg/placement";
import { isUndelivering } from "../data-path/data-path.ts";
import { unservedHere } from "../data-path/health-ports.ts";
import type { BgpPeers, SpeakerEffect } from "../effects.ts";
import type { NodeFields } from "../events.ts";
import { eligibilityOf, givesRoutesUp, isDrainedNode, undeliveringAt, undeliveringFor } from "../members/nodes.ts";
import { slotPaths, touchSlots } from "../placement/slots.ts";
import { deliveriesOf, deliveryOf, entryName, serviceAdvertisements } from "../services/policy.ts";
import { lookAtAll } from "../services/reporter.ts";
import type { SpeakerState } from "../state.ts";
import { advertisersOf, isAdvertisedByCurrent, reportAnnounced } from "./announcers.ts";
import { centralAdvertisements, deliveredHolders, serveNodes } from "./central.ts";
import { mayBeGateway, nextGatewayAt, withGone, withoutLost } from "./gateways.ts";
import type { Placing, Protocol } from "./protocol.ts";

/** BGP: each node advertises what it can serve to its own peers. */
export const bgp: Protocol = {
  place(state, placing) {
    const { address, holders, pool } = placing;
    const first = oldestOf(holders)?.service;
    const made = advertisementsOf(state, pool, first === undefined ? undefined : serviceAdvertisements(state, first, pool));
    if ("nodes" in made) return placeCentral(address, deliveredHolders(state, placing), made);
    // A drained node keeps the routes of what no other node delivers.
    const advertisements = isGone(state, placing) ? { ...made, eligibility: "excluded" as const } : made;
    const isLocalElsewhere = isAdvertisedByCurrent(state, placing);
    return placeBgp(address, holders, advertisements, { isLocalElsewhere, delivering: delivering(state, placing) });
  },

  apply(state, { address, before, placed }, _now, effects) {
    if (placed === undefined && before === undefined) return;
    effects.push({ type: "setRoutes", address, routes: placed !== undefined && isByBgp(placed) ? placed.routes : [] });
    reportAnnounced(state, address);
  },

  isAnnounced: (_state, { verdicts }) => verdicts.values().some(({ announced }) => announced),

  settle: settleSlots,

  flush(complete, effects) {
    effects.push({ type: "flushRoutes", complete });
  },
};

/** Routes to slots follow from where these are. @returns the addresses of pools with other next hops than before */
function settleSlots(state: SpeakerState): readonly Address[] {
  const { bgp, slots, placements } = state;
  if (!slots.isTouched) return [];
  slots.isTouched = false;
  const changed = [...bgp.advertisements].filter(([pool, variants]) => {
    if (pool.nextHopSlots.length === 0) return false;
    const now = slotPaths(state, pool);
    return variants.values().some(({ slots: used }) => !areSamePaths(used, now));
  });
  if (changed.length === 0) return [];
  for (const [pool] of changed) bgp.advertisements.delete(pool);
  const names = new Set(changed.map(([{ name }]) => name));
  const firsts = placements.values().flatMap(([first]) => (first?.pool !== undefined && names.has(first.pool) ? [first] : []));
  return [...firsts.map(({ address }) => address)];
}

/** Another configuration is in force. */
export function bgpConfigChanged(state: SpeakerState, config: Config, effects: SpeakerEffect[]): void {
  const { bgp } = state;
  bgp.advertisements.clear();
  bgp.orders.clear();
  let order = 0;
  for (const pool of config.pools) {
    bgp.orders.set(pool, order);
    order += pool.advertisements.length;
  }
  setPeers(state, config, "removedFromConfig", effects);
  reportDeliveries(state);
}

/** This node is another than before. @returns the pools for which its labels make a difference */
export function ownNodeChanged(
  state: SpeakerState,
  fields: NodeFields | undefined,
  now: Millis,
  effects: SpeakerEffect[],
): Pool[] {
  const { bgp, config } = state;
  const isDraining = state.nodes.cordoned.has(state.node);
  if (isDraining !== bgp.isDraining) {
    const message = isDraining ? "node is being drained" : "node is in use again";
    effects.push({ type: "log", level: "info", message, fields: { event: "nodeChanged", draining: isDraining } });
  }
  bgp.isDraining = isDraining;
  state.nodes.annotations = fields?.annotations ?? {};
  const isNew = noteLeaving(state, now);
  if (config === undefined) return [];
  const changed = peersChanged(state, config.config, effects);
  return isNew ? [...new Set([...changed, ...bgpPools(config.config)])] : changed;
}

/** Which members know of drained nodes, or deliver routes, may be different. @returns the pools for which it is */
export function othersChanged(state: SpeakerState, now: Millis, effects: SpeakerEffect[]): Pool[] {
  const { bgp, config } = state;
  const isNew = noteLeaving(state, now);
  const isAway = allLeaving(bgp).length > 0 || unservedHere(state).length > 0;
  if (config === undefined || !(isNew || isAway)) return [];
  if (isNew) peersChanged(state, config.config, effects);
  return bgpPools(config.config);
}

/** @returns pools for which time makes a difference */
export function bgpTimer(state: SpeakerState, now: Millis, effects: SpeakerEffect[]): Pool[] {
  const { bgp } = state;
  const isLost = now >= nextGatewayAt(bgp.gateways);
  if (isLost) bgp.gateways = withoutLost(bgp.gateways, now);
  return [...leavingTimer(state, now), ...(isLost ? bgpSurroundingsChanged(state, effects) : [])];
}

/** The marked routes of a node that leaves are due to go. @returns their pools */
function leavingTimer(state: SpeakerState, now: Millis): Pool[] {
  const { bgp, config } = state;
  if (now < nextLeavingAt(bgp)) return [];
  for (const leaving of allLeaving(bgp)) leaving.isGone ||= now >= leaving.goneAt;
  bgp.advertisements.clear();
  reportDeliveries(state); // Others keep routes that this node had too.
  return bgpPools(config?.config);
}

export function nextBgpAt({ bgp, unmet: { until = Infinity } }: SpeakerState): Millis {
  return Math.min(nextLeavingAt(bgp), nextGatewayAt(bgp.gateways), until);
}

function nextLeavingAt(bgp: SpeakerState["bgp"]): Millis {
  return Math.min(...allLeaving(bgp).map(({ goneAt, isGone }) => (isGone ? Infinity : goneAt)));
}

function allLeaving({ leaving, undelivering }: SpeakerState["bgp"]) {
  return leaving === undefined ? [...undelivering.values()] : [leaving, ...undelivering.values()];
}

/** @returns whether the node leaves, or stays, as it did not before */
function noteLeaving(state: SpeakerState, now: Millis): boolean {
  const { bgp, isStarted } = state;
  const isLeaving = givesRoutesUp(state, state.node);
  const isNew = isLeaving !== (bgp.leaving !== undefined);
  const pools = bgpPools(state.config?.config);
  const changed = families.filter((family) => isUndelivering(state, family, pools) !== bgp.undelivering.has(family));
  // Where no session has begun, no router sends by routes of this node.
  const waits = isStarted ? bgp.peers.map(({ peer }) => 1000 * peer.gracefulShutdownSeconds) : [];
  const goneAt = now + Math.max(0, ...waits);
  const fresh = () => ({ goneAt, isGone: goneAt <= now });
  if (isNew) bgp.leaving = isLeaving ? fresh() : undefined;
  for (const family of changed) if (!bgp.undelivering.delete(family)) bgp.undelivering.set(family, fresh());
  return isNew || changed.length > 0;
}

function bgpPools(config: Config | undefined): Pool[] {
  return config?.pools.filter(({ protocols }) => protocols.includes("bgp")) ?? [];
}

/** Whether routes for the address are to go from a drained node: others deliver it. With policy Local they go with the node's last endpoint. */
function isGone(state: SpeakerState, placing: Placing): boolean {
  const { node, bgp, members } = state;
  const { holders } = placing;
  if (bgp.leaving?.isGone !== true || !isDrainedNode(state, node)) return false;
  const unable = unableFor(state, placing);
  const isAsAble = (other: string) => unable.includes(node) || !unable.includes(other);
  const isElsewhere = members.active.some((other) => other !== node && isAsAble(other) && carries(state, other, placing));
  return isElsewhere && areOfCluster(holders);
}

/** Whether any node serves all Services that may have the address. */
function areOfCluster(holders: readonly Holder[]): boolean {
  return holders.every(({ isAllowed, externalTrafficPolicy }) => !isAllowed || externalTrafficPolicy === "Cluster");
}

/** Nodes that bring what comes for the address to Pods in this node's stead; none while this node does so, or its routes are still being marked. */
function delivering(state: SpeakerState, placing: Placing): readonly string[] {
  const { node, bgp, members, apiView } = state;
  const { pool, address } = placing;
  const leaving = bgp.undelivering.get(address.family);
  if (leaving === undefined ? !undeliveringAt(state, pool, address).includes(node) : !leaving.isGone) return [];
  const unable = unableFor(state, placing);
  if (!unable.includes(node)) return [];
  const able = members.active.filter((other) => !unable.includes(other) && carries(state, other, placing));
  // A node without the API may count on another node whose endpoint has gone, or which does not know of the endpoint.
  return apiView.view === "current" || areOfCluster(placing.holders)
    ? able
    : able.filter((other) => advertisersOf(state, placing).includes(other));
}

/** Active nodes that cannot bring what comes for the address to Pods. */
function unableFor(state: SpeakerState, { pool, address }: Placing): readonly string[] {
  return [...undeliveringFor(state, pool, address.family), ...undeliveringAt(state, pool, address)];
}

/** Whether routers have routes for the address from a node that is to have traffic. */
function carries(state: SpeakerState, node: string, { address, pool, holders }: Placing): boolean {
  const { family } = address;
  return !givesRoutesUp(state, node) && deliveryOf(state, node, pool, family, oldestOf(holders)?.service) === "carried";
}

/** Other interfaces or gateways are there than before. @returns the pools for which they make a difference */
export function bgpSurroundingsChanged(state: SpeakerState, effects: SpeakerEffect[]): Pool[] {
  const { config, bgp } = state;
  if (config?.config.peers.some((peer) => peer.discovery !== undefined || mayBeGateway(peer)) !== true) return [];
  const meant = peersMeant(state, config.config.peers).slice(0, limits.peersOfNode);
  // The gateway of both families may be that of one alone.
  const namesOf = (peers: readonly NodePeer[]) => peers.map(({ key, peer }) => `${key} ${peer.families}`).join();
  return namesOf(meant) === namesOf(bgp.peers) ? [] : peersChanged(state, config.config, effects);
}

/** @returns as `bgpSurroundingsChanged` */
export function gatewaysChanged(
  state: SpeakerState,
  there: Surroundings["gateways"],
  now: Millis,
  effects: SpeakerEffect[],
): Pool[] {
  state.bgp.gateways = withGone(state.bgp.gateways, there, now);
  return bgpSurroundingsChanged(state, effects);
}

/** The peers of this node may be others. @returns the pools for which they are */
function peersChanged(state: SpeakerState, config: Config, effects: SpeakerEffect[]): Pool[] {
  const { bgp } = state;
  setPeers(state, config, "filteredByNodeSelector", effects);
  const changed = new Set<Pool>();
  for (const [pool, known] of bgp.advertisements)
    for (const [key, before] of known) {
      const now = makeAdvertisements(state, pool, before.entries);
      // Routes know the advertisement that they come from: an equal one would be another for all addresses.
      if (isSame(before, now)) continue;
      known.set(key, now);
      changed.add(pool);
    }
  reportDeliveries(state);
  return [...changed];
}

/** Tells the others how this node delivers its routes of each pool, where that is different now. */
export function reportDeliveries(state: SpeakerState): void {
  const { bgp, config, members } = state;
  const before = bgp.deliveries;
  const pools = bgpPools(config?.config);
  const ofEntries = pools.filter(differByService).flatMap((pool) =>
    pool.advertisements.map((_, index) => {
      const advertisements = pool.advertisements.map((each, at) => (at === index ? each : undefined));
      const own = { key: `${index}`, advertisements }; // No Service has this key.
      return [entryName(pool, index), deliveriesOf(state, advertisementsOf(state, pool, own))] as const;
    }),
  );
  const ofPools = pools.map((pool) => [pool.name, deliveriesOf(state, advertisementsOf(state, pool))] as const);
  const now = new Map([...ofPools, ...ofEntries]);
  const isSameState = ([name, { IPv4, IPv6 }]: [string, Deliveries]) =>
    before.get(name)?.IPv4 === IPv4 && before.get(name)?.IPv6 === IPv6;
  if (now.size === before.size && now.entries().every(isSameState)) return;
  bgp.deliveries = now;
  touchSlots(state);
  members.gossip?.setDeliveries(now);
  lookAtAll(state);
}

const noEthernet: ReadonlySet<InterfaceState["status"]> = new Set(["loopback", "notEthernet"]);

function surroundingsOf({ node, nodes: { annotations }, carriers, bgp: { gateways } }: SpeakerState): Surroundings {
  return {
    interfaces: carriers.interfaces.filter(({ status }) => !noEthernet.has(status)).map(({ name }) => name),
    gateways,
    node,
    annotations,
  };
}

function peersMeant(state: SpeakerState, peers: Config["peers"]): readonly NodePeer[] {
  const { node, nodes, announceFor } = state;
  if (announceFor === "node") return peersFor(peers, nodes.labels.get(node), surroundingsOf(state));
  return announceFor === "all" ? centralSessions(peers) : [];
}

/** Nodes that a central speaker serves may be others. @returns the pools for which they are */
export function servedChanged(state: SpeakerState, now: Millis, effects: SpeakerEffect[]): Pool[] {
  if (state.announceFor !== "all" || !serveNodes(state, now, effects)) return [];
  reportDeliveries(state);
  return bgpPools(state.config?.config);
}

function setPeers(
  state: SpeakerState,
  { peers, bfdProfiles }: Pick<Config, "peers" | "bfdProfiles">,
  whyRemoved: BgpPeers["whyRemoved"],
  effects: SpeakerEffect[],
): void {
  const { bgp } = state;
  const meant = peersMeant(state, peers);
  const first = meant[limits.peersOfNode];
  if (first !== undefined && (whyRemoved === "removedFromConfig" || bgp.peers.length < limits.peersOfNode)) {
    const message = "more BGP peers than one node has sessions with: those beyond the first ones in the configuration get none";
    const unserved = meant.length - limits.peersOfNode;
    const fields = { event: "peersUnserved", sessions: limits.peersOfNode, unserved, first: first.key };
    effects.push({ type: "log", level: "error", message, fields });
  }
  bgp.peers = meant.slice(0, limits.peersOfNode);
  effects.push({
    type: "setPeers",
    peers: { peers: bgp.peers, bfdProfiles, isDraining: bgp.isDraining, isLeaving: bgp.leaving !== undefined, whyRemoved },
  });
}

// A tenant that writes other values all the time makes no more than these; those that are dropped are made again.
const maxVariants = 10_000;
// For each node that a central speaker serves a variant takes 0.7 kB.
const maxOfNodes = 50_000;

/**
 * What this node can do for a pool with protocol `bgp`. Its `node-selectors` are for layer 2: advertisements have their own.
 * @param own those for one Service; undefined for all of the pool's as they are
 */
export function advertisementsOf(
  state: SpeakerState,
  pool: Pool,
  own?: Pick<ServiceAdvertisements, "key" | "advertisements">,
): PoolAdvertisements | CentralAdvertisements {
  const { advertisements } = state.bgp;
  const known: NonNullable<ReturnType<typeof advertisements.get>> = advertisements.get(pool) ?? new Map();
  advertisements.set(pool, known);
  const entries = own?.advertisements ?? pool.advertisements;
  const most = Math.min(maxVariants, maxOfNodes / Math.max(1, state.served.nodes.size));
  return remembered(known, own?.key ?? "", most, () => makeAdvertisements(state, pool, entries));
}

function makeAdvertisements(
  state: SpeakerState,
  pool: Pool,
  entries: PoolAdvertisements["entries"],
): PoolAdvertisements | CentralAdvertisements {
  const { node, nodes, bgp } = state;
  if (state.announceFor === "all") return centralAdvertisements(state, pool, entries);
  const eligibility = eligibilityOf(state, [], node);
  return poolAdvertisements({
    pool,
    order: bgp.orders.get(pool) ?? 0,
    node,
    labels: nodes.labels.get(node),
    eligibility: eligibility === "excluded" && bgp.leaving?.isGone === false ? "eligible" : eligibility,
    peers: bgp.peers,
    entries,
    slots: slotPaths(state, pool),
    lastResort: families.filter((family) => isUndelivering(state, family, [pool])),
  });
}

function areSamePaths(one: SlotPaths, other: SlotPaths): boolean {
  const text = (slots: SlotPaths, family: Family) =>
    slots
      .get(family)
      ?.map(({ path, isOwn }) => `${path} ${isOwn}`)
      .join();
  return families.every((family) => text(one, family) === text(other, family));
}

function isSame(a: PoolAdvertisements, b: PoolAdvertisements): boolean {
  return (
    a.eligibility === b.eligibility &&
    areSamePaths(a.slots, b.slots) &&
    a.advertised.length === b.advertised.length &&
    a.advertised.every((one, index) => {
      const other = b.advertised[index];
      const isEqual = one.order === other?.order && one.lastResort?.join() === other.lastResort?.join();
      return isEqual && families.every((family) => textOf(one.peers[family]) === textOf(other.peers[family]));
    })
  );
}

const texts = new WeakMap<readonly string[], string>(); // Advertisements to all peers share one list of them.

function textOf(peers: readonly string[]): string {
  const text = texts.get(peers) ?? peers.join();
  texts.set(peers, text);
  return text;
}

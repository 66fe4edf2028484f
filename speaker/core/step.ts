import type { Millis } from "#pkg/clock";
import { hasOwners, layer2PoolsOf } from "#pkg/config";
import type { GossipChanges, GossipEntry } from "#pkg/gossip";
import { beginWhenSynced } from "./begin.ts";
import {
  aloneChanged,
  announcersChanged,
  askedMembersChanged,
  defendSighted,
  defenseTimer,
  nodesReturned,
  occupiedChanged,
} from "./conflicts/address-defender.ts";
import { inspectionTimer, inspectSighted, nextInspectionAt, setOccupants } from "./conflicts/quarantine.ts";
import { type DataPathEvent, dataPathEvent, dependsOnOthers, nextDataPathAt } from "./data-path/data-path.ts";
import { beginWithHealthPorts, healthPortsAsked } from "./data-path/health-ports.ts";
import type { SpeakerEffect } from "./effects.ts";
import type { RingMembersEvent, SpeakerEvent } from "./events.ts";
import { memberOfHandovers } from "./handovers/handover-state.ts";
import { handoverEvent, handoversChanged, handoversConfigured, handoverTimer, servingChanged } from "./handovers/handovers.ts";
import { nextCarrierAt, releaseCarriers } from "./interfaces/carriers.ts";
import { interfacesChanged, kernelChanged } from "./interfaces/changes.ts";
import { hostInterfaces, surroundingsToFollow } from "./interfaces/nics.ts";
import { apiLost, apiViewTimer, noteOldViews } from "./members/api-view.ts";
import { followTimer, forgetTold, reconsiderNodes, takeTold, tellOwnNode } from "./members/followed-nodes.ts";
import { allMembers, foreignMembersChanged, nextMembersAt, setMembers } from "./members/foreign-members.ts";
import { forgetDeleted, memberChanged, membersSettled, noteKinds, pullAwaited, reclaimed, strangers } from "./members/members.ts";
import { apiViewsChanged, nodeEvent, nodesTold } from "./members/node-changes.ts";
import { reachabilityChanged } from "./members/nodes.ts";
import { checkPlacement } from "./placement/placement-warning.ts";
import {
  announcedHere,
  converged,
  flush,
  flushPlaced,
  hasWork,
  placeSome,
  takeServices,
  touch,
  touchAll,
  touchLocal,
  touchPlaced,
  touchPools,
  viewsChanged,
} from "./placement/placements.ts";
import { setSlots, slotAddresses, touchSlots } from "./placement/slots.ts";
import { isSticky, isStickyInForce, nextStickyAt, stickyNodesChanged, stickyPulls, stickyTimer } from "./placement/sticky.ts";
import { reportAnnounced, tellUntold } from "./protocols/announcers.ts";
import {
  bgpConfigChanged,
  bgpSurroundingsChanged,
  bgpTimer,
  gatewaysChanged,
  nextBgpAt,
  othersChanged,
  reportDeliveries,
  servedChanged,
} from "./protocols/bgp.ts";
import { leftPools } from "./protocols/interface.ts";
import { reannounceAll } from "./protocols/layer2.ts";
import { reportService } from "./services/announcement-status.ts";
import { namespaceChanged } from "./services/policy.ts";
import { chooseReporter, inPassing, lookAt, lookAtAll, lookAtSome, nextReportAt, reporterTimer } from "./services/reporter.ts";
import { wireTested } from "./services/self-tests.ts";
import { addressesOf, setService, setSlice } from "./services/services.ts";
import { poolAt, type SpeakerState } from "./state.ts";
import { noteSince } from "./verdicts/address-verdict.ts";

/** When `timer` has something to do; Infinity without anything. */
export function nextDeadline(state: SpeakerState): Millis {
  const { conflicts, carriers, apiView } = state;
  const ofConflicts = Math.min(conflicts.deadlines.next, nextInspectionAt(conflicts));
  return Math.min(
    nextMembersAt(state),
    nextStickyAt(state),
    nextCarrierAt(carriers),
    ofConflicts,
    apiView.dueAt,
    state.nodes.followed.dueAt,
    state.handovers.dueAt,
    nextBgpAt(state),
    nextDataPathAt(state),
    nextReportAt(state),
  );
}

/**
 * Advances a speaker by one event; `state` is changed in place. Cost follows the addresses that something changed for: only a change of
 * the members or of the configuration visits all of them, and one of a node's labels those of the pools that the node may announce since
 * then, or no longer.
 */
export function step(state: SpeakerState, event: SpeakerEvent, now: Millis): SpeakerEffect[] {
  const effects: SpeakerEffect[] = [];
  react(state, event, now, effects);
  if (event.type !== "member") beginWhenSynced(state, now, effects); // It looks at all members, who follow together.
  if (foreignMembersChanged(state, event.type, now)) membersChanged(state, allMembers(state), now, effects);
  if (!inPassing.has(event.type)) touchPools(state, servedChanged(state, now, effects));
  chooseReporter(state, event.type, now);
  aloneChanged(state, effects);
  if (!state.agenda.isAwake && hasWork(state)) {
    state.agenda.isAwake = true;
    effects.push({ type: "wake" });
  }
  return effects;
}

function react(state: SpeakerState, event: SpeakerEvent, now: Millis, effects: SpeakerEffect[]): void {
  switch (event.type) {
    case "service": {
      const addresses = setService(state.services, event.key, event.service);
      touch(state, addresses);
      if (addresses.length === 0 || !state.status.since.has(event.key)) noteSince(state, event.key, now); // Without addresses it is not placed.
      break;
    }
    case "slice":
      touch(state, setSlice(state.services, event.key, event.now, event.before));
      break;
    case "nodesCounted":
    case "node":
    case "nodesListed":
      nodeEvent(state, event, now, effects);
      flush(state, effects);
      break;
    case "namespace":
      touch(state, namespaceChanged(state, event.name, event.labels));
      break;
    case "configRead":
      state.dataPath.isWanted ||= event.config.pools.some(({ announceWhen }) => announceWhen === "delivering");
      if (state.announceFor !== "all" && event.config.pools.some((pool) => hasOwners(pool) || pool.nextHopSlots.length > 0))
        effects.push({ type: "prepareLayer2" });
      break;
    case "config":
      configChanged(state, event, now, effects);
      break;
    case "routes":
      state.carriers.routes = event.interfaces;
      interfacesChanged(state, now, effects);
      touchPools(
        state,
        state.ownedPools.filter(({ interfaces }) => interfaces.length > 0),
      );
      break;
    case "gateways":
      touchPools(state, gatewaysChanged(state, event.gateways, now, effects));
      break;
    case "kernel":
      kernelChanged(state, event, now, effects);
      break;
    case "sessions":
      state.bgp.carried = event.carried;
      reportDeliveries(state);
      flush(state, effects);
      break;
    case "faults":
      state.faults = event.faults;
      state.members.gossip?.setFaults(event.faults);
      lookAtAll(state);
      flush(state, effects);
      break;
    case "quarantine":
      setOccupants(state, event.data, now, effects);
      lookAtAll(state);
      occupiedChanged(state, now, effects);
      touchSlots(state);
      break;
    case "sighting":
      inspectSighted(state, event.sighting, effects);
      defendSighted(state, event.sighting, now, effects);
      flush(state, effects);
      break;
    case "wireTested":
      wireTested(state, event.tested, now, effects);
      break;
    case "dataPath":
    case "connected":
    case "triedFirst":
      dataPathStep(state, event, now, effects);
      break;
    case "healthPorts":
      touchPlaced(state, healthPortsAsked(state, event, now, effects));
      flush(state, effects);
      break;
    case "linesReplaced": // It concerns the reporter alone.
      break;
    case "handoverFailures":
    case "flows":
    case "inherited":
    case "leaving":
      flush(state, handoverEvent(state, event, now, effects));
      break;
    case "apiLost":
      apiLost(state, event.since, now, effects);
      apiViewsChanged(state, now, effects);
      flush(state, effects);
      break;
    case "clusterSynced":
      state.isClusterSynced = state.nodes.followed.isWhole = true;
      tellOwnNode(state);
      flush(state, effects);
      // Not before: to the other members this node counts as one that can take addresses over.
      effects.push({ type: "startMembers", isLarge: state.nodes.followed.names !== "all" });
      break;
    case "start":
      start(state, now, effects);
      break;
    case "interfaces":
      state.carriers.interfaces = event.interfaces;
      touchPools(state, bgpSurroundingsChanged(state, effects));
      effects.push({ type: "publishInterfaces", interfaces: hostInterfaces(state, event.interfaces) }, { type: "checkNode" });
      interfacesChanged(state, now, effects);
      break;
    case "members":
      membersChanged(state, event, now, effects);
      break;
    case "nodePaths":
      state.unmet.failed = new Set(event.failed);
      break;
    case "speakerPods":
      state.unmet.pods = new Set(event.nodes);
      break;
    case "member":
      gossipChanged(state, memberChanged(state, event, now), now, effects);
      if (event.change === "failed" || event.change === "left") forgetDeleted(state, event.node, effects);
      askedMembersChanged(state, now, effects);
      memberOfHandovers(state.handovers, now);
      flush(state, effects);
      break;
    case "gossip":
      gossipReceived(state, event.entries, now, effects);
      break;
    case "gossipExpired":
      for (const node of event.nodes) state.members.gossip?.forget(node);
      forgetTold(state, event.nodes);
      break;
    case "timer":
      timer(state, now, event.chance, effects);
      break;
    case "continue":
      proceed(state, now, effects);
      break;
    default:
      event satisfies never;
  }
}

/** Until now the state was still arriving and nothing was announced; from now on it is whole. No routes are to be marked before they go. */
function start(state: SpeakerState, now: Millis, effects: SpeakerEffect[]): void {
  beginWithHealthPorts(state, now, effects);
  state.members.gossip?.participate();
  othersChanged(state, now, effects);
  state.isStarted = state.hasBegun = true;
  state.startedAt = now;
  const ofServices = state.services.rows.keys().flatMap((service) => addressesOf(state.services, service));
  for (const address of [...ofServices, ...slotAddresses(state)]) state.hadOwner.add(address.toString());
  interfacesChanged(state, now, effects);
  nodesChanged(state, now, effects);
  touchAll(state, now);
}

function configChanged(
  state: SpeakerState,
  { config, pools }: NonNullable<SpeakerState["config"]>,
  now: Millis,
  effects: SpeakerEffect[],
): void {
  state.config = { config, pools };
  touch(state, setSlots(state, config));
  state.ownedPools = [...config.pools.filter(hasOwners).flatMap(layer2PoolsOf), ...state.slots.pools];
  takeTold(state); // It may ask for other labels.
  effects.push(...surroundingsToFollow(state, config), { type: "keepPaths", intervalMs: config.failover?.intervalMs });
  bgpConfigChanged(state, config, effects);
  handoversConfigured(state, now, effects);
  state.kernel.eligibility.clear();
  state.nodes.pools.clear();
  interfacesChanged(state, now, effects); // Pools ask for interfaces by name.
  nodesChanged(state, now, effects);
  touchPools(state, othersChanged(state, now, effects));
  touchAll(state, now);
  if (state.isStarted) state.agenda.configuredAt = Math.min(state.agenda.configuredAt, now);
  effects.push({ type: "checkNode" });
}

function membersChanged(
  state: SpeakerState,
  { active: heard, withoutGossip, starting = [], isSynced }: Omit<RingMembersEvent, "type">,
  now: Millis,
  effects: SpeakerEffect[],
): void {
  const before = new Set(state.members.active);
  const unknown = strangers(state);
  const active = setMembers(state, heard);
  noteKinds(state, unknown, withoutGossip, starting, now);
  const returned = active.filter((node) => !before.has(node));
  const fields = { event: "membersChanged", nodes: active };
  if (returned.length > 0 || active.length < before.size)
    effects.push({ type: "log", level: "info", message: "active speakers changed", fields });
  nodesChanged(state, now, effects);
  touchPools(state, [...state.ownedPools, ...leftPools(state)]); // Their owners depend on which nodes are active, and who delivers.
  touchPools(state, othersChanged(state, now, effects));
  if (state.apiView.isReporting) touchLocal(state);
  lookAtAll(state);
  handoversChanged(state, now, effects);
  if (returned.length > 0) nodesReturned(state, returned, now, effects);
  askedMembersChanged(state, now, effects);
  state.members.isSynced = isSynced;
}

function nodesChanged(state: SpeakerState, now: Millis, effects: SpeakerEffect[]): void {
  reconsiderNodes(state, now);
  if (dependsOnOthers(state)) dataPathStep(state, undefined, now, effects);
  stickyNodesChanged(state, now);
  checkPlacement(state, effects);
}

function gossipReceived(state: SpeakerState, entries: readonly GossipEntry[], now: Millis, effects: SpeakerEffect[]): void {
  const { gossip } = state.members;
  if (gossip !== undefined) gossipChanged(state, gossip.merge(entries), now, effects);
  flush(state, effects);
}

function gossipChanged(
  state: SpeakerState,
  { nodes, addresses, asked, deliveries, links, served, traits, signs }: GossipChanges,
  now: Millis,
  effects: SpeakerEffect[],
): void {
  nodesTold(state, traits, now, effects);
  for (const address of asked) reportAnnounced(state, address);
  announcersChanged(state, nodes ? [...state.conflicts.asked.values()] : asked, now, effects);
  if (deliveries || nodes) {
    lookAtAll(state);
    touchPools(state, othersChanged(state, now, effects));
  }
  if (links || nodes) handoversChanged(state, now, effects);
  servingChanged(state, served, now, effects);
  if (deliveries) touchSlots(state);
  touchPlaced(state, asked);
  if (nodes) {
    noteOldViews(state, effects);
    nodesChanged(state, now, effects);
    apiViewsChanged(state, now, effects);
    touchPools(state, state.ownedPools.filter(isSticky));
  } else if (signs && dependsOnOthers(state)) dataPathStep(state, undefined, now, effects);
  touchPlaced(state, addresses);
}

/** The driver looks and tries once a second: only another answer changes anything. */
function dataPathStep(state: SpeakerState, event: DataPathEvent | undefined, now: Millis, effects: SpeakerEffect[]): void {
  if (dataPathEvent(state, event, now, effects)) {
    touchPools(state, othersChanged(state, now, effects));
    viewsChanged(state);
  }
  flush(state, effects);
}

function timer(state: SpeakerState, now: Millis, chance: number, effects: SpeakerEffect[]): void {
  const { members, carriers } = state;
  stickyTimer(state, now);
  if (followTimer(state, now, effects)) touchPools(state, reachabilityChanged(state));
  if (releaseCarriers(carriers, now)) interfacesChanged(state, now, effects);
  defenseTimer(state, now, effects);
  inspectionTimer(state, now, chance, effects);
  handoverTimer(state, now, effects);
  touchPools(state, bgpTimer(state, now, effects));
  if (apiViewTimer(state, now, effects)) apiViewsChanged(state, now, effects);
  if (now >= nextDataPathAt(state)) dataPathStep(state, { type: "timer", chance }, now, effects);
  pullAwaited(state, now, effects);
  tellUntold(state, now);
  reporterTimer(state, now, effects);
  if (now >= members.settledAt) membersSettled(state);
  if (now >= members.reclaimAt) {
    reclaimed(state, now, effects);
    reannounceAll(state, announcedHere(state), (address) => isStickyInForce(state, poolAt(state, address)), effects);
  }
  flush(state, effects);
}

/**
 * Does some of the work on the agenda. Reports about Services follow when all is placed: when thousands of addresses move, logs and
 * events take longer than everything else.
 */
function proceed(state: SpeakerState, now: Millis, effects: SpeakerEffect[]): void {
  state.agenda.isAwake = false;
  effects.push({ type: "checkNode" });
  if (!state.isStarted || state.isLeaving || state.config === undefined) return;
  const { pools } = state.config;
  placeSome(state, pools, now, effects);
  for (const node of stickyPulls(state)) effects.push({ type: "pullGossip", node });
  flush(state, effects);
  if (!flushPlaced(state, now, effects)) return;
  converged(state, now, effects);
  for (const service of takeServices(state)) {
    reportService(state, service, noteSince(state, service, now), effects);
    lookAt(state, [service]);
  }
  lookAtSome(state, now);
}

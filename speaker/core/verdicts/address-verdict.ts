import type { RouteStanding, Unsendable } from "#pkg/bgp";
import type { Millis } from "#pkg/clock";
import type { Pool } from "#pkg/config";
import type { Address, Family, Prefix } from "#pkg/net";
import {
  type AddressPlacement,
  type BgpRoute,
  drainLabel,
  endpointsInUse,
  excludeLabel,
  type InterfacePlacement,
  isByBgp,
  isByInterface,
  networkTaint,
  withOwner,
} from "#pkg/placement";
import { list } from "#pkg/text";
import { byEach, causes, type Dated, type Fact, type Verdict, verdict, worst } from "#pkg/verdict";
import { ownedItems } from "../conflicts/address-defender.ts";
import { conflictVerdict, occupiedVerdict } from "../conflicts/conflict-reports.ts";
import type { DefendedAddress } from "../conflicts/conflict-state.ts";
import { conflictsOf } from "../conflicts/defense-state.ts";
import { type NotHere, undeliveringAt, undeliveringFor, whyNotHere } from "../members/nodes.ts";
import { notGranted } from "../services/policy.ts";
import { wireFault } from "../services/self-tests.ts";
import { addressesOf, endpointsOf, idleEndpointsOf, policyOf, whyWithoutAddresses } from "../services/services.ts";
import { layer2PoolAt, type SpeakerState, type Standing } from "../state.ts";
import { refusalVerdict } from "./refusals.ts";

export interface SessionState {
  readonly established: boolean;
  /** Since when it is in its state. */
  readonly since: Millis;
  /** State of the peer, in a sentence. */
  readonly message: string;
  /**
   * State of the route as far as this side can tell: a router does not say what it does with a route. Undefined for a route that the peer
   * is not to have, and without a session.
   */
  readonly standing: (prefix: Prefix) => RouteStanding | undefined;
  /** Since when routes of the family are not carried by it; undefined where all are. */
  readonly notCarriedSince: (family: Family) => Millis | undefined;
}

const notCarried: Readonly<Record<Unsendable["reason"], string>> = {
  familyNotNegotiated: "the router does not take routes of this family",
  noNextHop: "this node has no address of its own to be the next hop",
};

/** The sessions of this node: key of the peer -> session. */
export type Sessions = ReadonlyMap<string, SessionState>;

/** One address of a Service by one protocol, as this node sees it. */
export interface AddressView {
  readonly address: Address;
  /** Where it is placed by the protocol; undefined until it is. */
  readonly placement: AddressPlacement | undefined;
  readonly verdict: Verdict;
  readonly since: Millis;
}

/** A Service, as this node sees it; its verdict is that on the worst of its addresses. */
export interface ServiceView extends Dated<Millis> {
  /** An address of a pool with several protocols is there for each. */
  readonly addresses: readonly AddressView[];
}

/** Undefined where there is no such Service. @param isWhole owners are named that this node need not know, which takes a whole election */
export function serviceView(state: SpeakerState, key: string, sessions: Sessions, isWhole = false): ServiceView | undefined {
  const why = whyWithoutAddresses(state.services, key);
  const standings = state.status.since.get(key) ?? [];
  const [standing] = standings;
  if (why === "serviceDeleted" || standing === undefined) return undefined;
  if (why !== undefined) return { addresses: [], verdict: verdict("service", why), since: standing.at };
  const addresses = addressesOf(state.services, key).flatMap((address): readonly AddressView[] => {
    const placements = (state.placements.get(address.toString()) ?? [undefined]).map((known) =>
      isWhole && known !== undefined ? withOwner(known) : known,
    );
    const verdicts = byEach(placements.map((placement) => addressVerdict(state, key, address, placement, sessions)));
    return verdicts.map((found, index) => {
      const placement = placements[index];
      const isOf = (one: Standing) => one.address === address.toString() && one.protocol === placement?.protocol;
      const placedSince = (standings.find(isOf) ?? standing).at;
      return { address, placement, verdict: found, since: sinceOf(state, address, placement, found, sessions, placedSince) };
    });
  });
  const [first, ...rest] = addresses;
  if (first === undefined) return { addresses, verdict: notPlaced, since: standing.at };
  const verdictOfWorst = worst([first.verdict, ...rest.map((one) => one.verdict)]);
  const { since } = addresses.find((one) => one.verdict === verdictOfWorst) ?? first;
  return { addresses, verdict: verdictOfWorst, since };
}

/** @param placedSince when the address was placed as it is */
function sinceOf(
  state: SpeakerState,
  address: Address,
  placement: AddressPlacement | undefined,
  { cause }: Verdict,
  sessions: Sessions,
  placedSince: Millis,
): Millis {
  if (cause === "noSession" || cause === "someSessionsDown" || cause === "routeNotCarried") {
    const routes = placement !== undefined && isByBgp(placement) ? placement.routes : [];
    const those = routes.flatMap(({ via }) => via.peers[address.family]).flatMap((peer) => sessions.get(peer) ?? []);
    const faults = those.flatMap(({ established, since, notCarriedSince }) => {
      if (cause !== "routeNotCarried") return established ? [] : since;
      return notCarriedSince(address.family) ?? [];
    });
    return Math.max(placedSince, ...faults);
  }
  const fault = placement && wireFault(state, placement);
  if (fault !== undefined) return Math.max(placedSince, fault.since);
  const { conflicts } = state;
  const rivals = [...(conflicts.defended.get(address.toString())?.defense.rivals.values() ?? [])].filter(
    ({ reported }) => reported,
  );
  return rivals.length === 0 ? placedSince : Math.max(placedSince, Math.min(...rivals.map(({ since }) => since)));
}

const notPlaced = verdict("service", "notPlaced");

function addressVerdict(
  state: SpeakerState,
  key: string,
  address: Address,
  placement: AddressPlacement | undefined,
  sessions: Sessions,
): Verdict {
  const found = placement?.verdicts.get(key);
  if (placement === undefined || found === undefined) return notPlaced;
  const policy = state.services.rows.get(key)?.service.externalTrafficPolicy ?? "Cluster";
  if (!found.announced) return refusalVerdict(state, placement, found, { policy, idle: idleEndpointsOf(state.services, key) });
  if (isByBgp(placement)) return routesVerdict(state, key, placement, sessions);
  if (isByInterface(placement)) return routedVerdict(state, placement);
  const { rival, owner = rival } = placement;
  if (owner === undefined) return verdict("service", "unsettled", { message: `the owner of ${address} is about to be settled` });
  if (owner === state.node) return ownVerdict(state, placement);
  return wireFault(state, placement)?.verdict ?? elsewhere(state, key, placement);
}

/** The node that announces the address as its owner, and the candidates. */
function ownerFacts({ candidates, contenders, owner }: AddressPlacement): Fact[] {
  const facts = owner === undefined ? [] : [{ name: "owner", value: owner, source: "placement" }];
  facts.push({ name: "candidates", value: list(candidates), source: "placement" });
  if (contenders.length < candidates.length) facts.push({ name: "preferred", value: list(contenders), source: "placement" });
  return facts;
}

function elsewhere(state: SpeakerState, key: string, placement: AddressPlacement): Verdict {
  const { address, owner = "another node" } = placement;
  const pool = layer2PoolAt(state, address);
  const evidence = ownerFacts(placement);
  if (pool !== undefined)
    evidence.push({ name: state.node, value: whyElsewhere(state, key, pool, placement), source: "placement" });
  const served = state.handovers.served.get(address.toString());
  if (served !== undefined)
    evidence.push({ name: `connections kept by ${state.node}`, value: `${served.flows ?? "not counted yet"}`, source: "kernel" });
  return verdict("service", "notOwner", { message: `${owner} announces ${address}`, evidence });
}

function whyElsewhere(state: SpeakerState, key: string, pool: Pool, { address, candidates }: AddressPlacement): string {
  const { node, nodes, services, apiView } = state;
  const why = whyNotHere(state, pool, address);
  if (why === "nodeExcluded" && nodes.labels.get(node)?.[excludeLabel] === undefined) return `it has the taint ${networkTaint}`;
  if ((why !== "notOwner" && why !== "nodeNotPreferred") || candidates.includes(node)) return notHere[why];
  const serving = endpointsInUse(endpointsOf(services, key, address.family));
  if (policyOf(state, key) === "Local" && !serving.some(({ nodeName }) => nodeName === node))
    return "it has no ready endpoint, and externalTrafficPolicy is Local";
  const unable = [...undeliveringFor(state, pool, address.family), ...undeliveringAt(state, pool, address)];
  if (unable.includes(node)) return "it cannot deliver to Pods";
  return apiView.view === "current" ? "it does not suit all Services on the address" : "it does not reach the API";
}

const notHere: Readonly<Record<NotHere, string>> = {
  notOwner: "it could announce the address, and is not its owner",
  nodeExcluded: "it is excluded from load balancers by its label",
  nodeOutOfService: "it has the taint of a node that is out of service",
  nodeDrained: `it is drained by its label ${drainLabel}`,
  nodeNotSelected: "the pool's node-selectors do not match it",
  nodeNotPreferred: "it could announce the address, and the pool prefers its owner",
  noInterface: "it has no interface for the pool that is up and has a carrier",
  noKernelAccess: "its speaker may not put addresses on NICs: it lacks the capability NET_ADMIN",
  notInSubnet: "it has no address in the subnet",
};

/** The verdict on an address that this node is to announce. */
function ownVerdict(state: SpeakerState, placement: AddressPlacement): Verdict {
  const { address, pool } = placement;
  const entry = state.conflicts.defended.get(address.toString());
  const evidence = ownerFacts(placement);
  const current = state.handovers.current.get(address.toString());
  if (current?.told !== undefined)
    evidence.push({ name: "packets of unknown connections go to", value: current.from, source: "placement" });
  const isOnNic = placement.protocol === "interface";
  if (entry === undefined) return isOnNic ? nicVerdict(state, placement, undefined, evidence) : notPlaced;
  const conflict = conflictOf(state, entry);
  if (conflict !== undefined) return conflict;
  if (entry.defense.stage === "probing")
    return verdict("service", "probing", {
      message: `before ${state.node} announces ${address}, it asks whether another host has it`,
    });
  if (isOnNic) return nicVerdict(state, placement, entry, evidence);
  return announcedVerdict(state, entry, `${state.node} announces ${address} of pool ${pool} by layer 2`, evidence);
}

/** The verdict on an address that this node has on a NIC. */
function nicVerdict(
  state: SpeakerState,
  { address, pool }: AddressPlacement,
  entry: DefendedAddress | undefined,
  evidence: readonly Fact[],
): Verdict {
  const why = whyNotInKernel(state, address);
  const [item] = ownedItems(state, address);
  if (why !== undefined || item === undefined) return notInKernel(state, address, pool, why ?? "no interface is in its subnet");
  const message = `${state.node} has ${address} of pool ${pool} in its kernel (interface ${item.interface})`;
  const length = { name: "prefix length", value: `${item.prefixLength}`, source: "interfaces" };
  return announcedVerdict(state, entry, message, [...evidence, length]);
}

/** The verdict on an address that this node announces; how it came here, as long as the node that had it is gone. */
function announcedVerdict(
  { members }: SpeakerState,
  entry: DefendedAddress | undefined,
  message: string,
  evidence: readonly Fact[],
): Verdict {
  const how = entry?.takenOver;
  if (how?.cause !== "failedFast" || members.missing.get(how.from)?.cause !== "failedFast")
    return verdict("service", "announced", { message, evidence });
  return verdict("service", "failedOverFast", {
    message: `${message}; BFD found that ${how.from} failed, and this node took over ${Math.round(how.afterMs)} ms later`,
    evidence,
  });
}

function conflictOf(state: SpeakerState, { address, defense }: DefendedAddress): Verdict | undefined {
  const [first, ...rest] = conflictsOf(defense).map((rival) => conflictVerdict(state, { ...rival, address }));
  if (defense.stage === "occupied") {
    const mac = defense.occupiedBy ?? "unknown";
    const interfaces = state.conflicts.occupants.get(address.toString())?.interface ?? "the network";
    return occupiedVerdict(state, { address, mac, interface: interfaces });
  }
  return first === undefined ? undefined : worst([first, ...rest]);
}

function routesVerdict(
  state: SpeakerState,
  key: string,
  placement: AddressPlacement & { readonly routes: readonly BgpRoute[] },
  sessions: Sessions,
): Verdict {
  const { node } = state;
  const { address, pool, routes } = placement;
  const peers = [...new Set(routes.flatMap(({ via }) => via.peers[address.family]))];
  const up = peers.filter((peer) => sessions.get(peer)?.established);
  const evidence: Fact[] = [
    { name: "prefixes", value: list([...new Set(routes.map(({ prefix }) => prefix.toString()))]), source: "placement" },
    { name: "peers with a session", value: list(up), source: "BGP sessions" },
  ];
  const { facts, refused } = routesOfSessions(routes, up, sessions);
  evidence.push(...facts);
  if (up.length < peers.length) {
    const down = peers.filter((peer) => !up.includes(peer));
    evidence.push({ name: "peers without a session", value: list(down), source: "BGP sessions" });
    for (const peer of down.slice(0, maxFacts)) {
      const message = sessions.get(peer)?.message;
      if (message !== undefined) evidence.push({ name: peer, value: message, source: "BGP session" });
    }
    if (up.length === 0)
      return verdict("service", "noSession", {
        message: `${node} has a route for ${address}, and no session with ${list(down)}`,
        evidence,
      });
    const message = `${node} announces ${address} of pool ${pool} by BGP to ${list(up)}, and not to ${list(down)}`;
    return verdict("service", "someSessionsDown", { message, evidence });
  }
  if (refused.size > 0) {
    const without = [...refused].map(([peer, why]) => `${peer} (${notCarried[why]})`);
    return verdict("service", "routeNotCarried", {
      state: refused.size === up.length ? "Pending" : "Degraded",
      message: `${node} has a route for ${address}, and its session cannot carry it to ${list(without)}`,
      evidence,
    });
  }
  const message = `${node} announces ${address} of pool ${pool} by BGP to ${list(up)}`;
  const missing = notGranted(state, key, placement);
  if (missing === undefined) return verdict("service", "announced", { message, evidence });
  return verdict("service", "attributesRefused", { message: `${message}; ${missing}`, evidence });
}

const maxFacts = 8; // Limit of sessions: more tell people nothing.

/** How the routes stand in the established sessions, and which of these cannot carry one. */
function routesOfSessions(routes: readonly BgpRoute[], up: readonly string[], sessions: Sessions) {
  const refused = new Map<string, Unsendable["reason"]>(); // peer -> why
  const facts: Fact[] = [];
  for (const peer of up)
    for (const prefix of new Map(routes.map(({ prefix: one }) => [one.toString(), one])).values()) {
      const standing = sessions.get(peer)?.standing(prefix);
      if (standing === undefined) continue;
      if (standing.state !== "sent" && standing.state !== "waits") refused.set(peer, standing.state);
      if (facts.length >= maxFacts) continue;
      facts.push({ name: `${prefix} to ${peer}`, value: standingText(standing), source: "BGP session" });
    }
  return { facts, refused };
}

function standingText(standing: RouteStanding): string {
  if (standing.state === "waits") return "waits to be sent";
  if (standing.state !== "sent") return `not sent: ${notCarried[standing.state]}`;
  return `sent, with next hop ${standing.nextHops.join(" and ")}`;
}

function whyNotInKernel({ kernel: { found } }: SpeakerState, address: Address): string | undefined {
  return found.failure ?? found.problems.get(address.toString());
}

function notInKernel({ node, kernel }: SpeakerState, address: Address, pool: string | undefined, why: string): Verdict {
  const message = `${node} does not have ${address} of pool ${pool} in its kernel: ${why}`;
  const { noKernelAccess } = causes.pool;
  return verdict("service", "notInKernel", { message, ...(kernel.found.failure !== undefined && { next: noKernelAccess.next }) });
}

/** The verdict on an address that this node's kernel is to have, as the kernels of other nodes do. */
function routedVerdict(state: SpeakerState, { address, pool, prefixLength }: InterfacePlacement): Verdict {
  const { node, config } = state;
  const why = whyNotInKernel(state, address);
  if (why !== undefined) return notInKernel(state, address, pool, why);
  const { carrier, dummyInterface, routeTable } = config?.pools.find(address)?.kernel ?? {};
  const where = carrier === "route" ? `route table ${routeTable}` : `interface ${dummyInterface}`;
  return verdict("service", "announced", {
    message: `${node} has ${address} of pool ${pool} in its kernel (${where})`,
    evidence: [{ name: "prefix length", value: `${prefixLength}`, source: "placement" }],
  });
}

/** Notes what each placement of the Service says: owner or reason, and since when. @returns whether any says something else */
export function noteSince(state: SpeakerState, key: string, now: Millis): boolean {
  const { since } = state.status;
  const before = since.get(key) ?? [];
  const isSame = (one: Standing, other: Standing) =>
    one.address === other.address && one.protocol === other.protocol && one.code === other.code;
  const standings = standingsOf(state, key, now).map((one) => before.find((known) => isSame(known, one)) ?? one);
  if (standings.length === before.length && standings.every((one, index) => one === before[index])) return false;
  if (standings.length === 0) since.delete(key);
  else since.set(key, standings);
  return true;
}

/** Without new text for any of thousands of Services. */
function standingsOf({ services, placements, node }: SpeakerState, key: string, at: Millis): readonly Standing[] {
  const why = whyWithoutAddresses(services, key);
  if (why === "serviceDeleted") return [];
  if (why !== undefined) return [{ address: undefined, protocol: undefined, code: why, at }];
  return addressesOf(services, key).flatMap((each) => {
    const address = each.toString();
    return (placements.get(address) ?? [undefined]).map((placement) => {
      const found = placement?.verdicts.get(key);
      const { protocol } = placement ?? {};
      if (placement === undefined || found === undefined) return { address, protocol, code: "notPlaced", at };
      const by = placement.owner ?? (placement.rival === undefined ? node : "elsewhere");
      return { address, protocol, code: found.announced ? by : found.reason, at };
    });
  });
}

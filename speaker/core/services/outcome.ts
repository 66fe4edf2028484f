import { type AnnouncedLine, subjectOf } from "#pkg/announced";
import { type Delivery, isCentral } from "#pkg/gossip";
import type { Address } from "#pkg/net";
import { type AddressPlacement, endpointsInUse, isByBgp, ownerOf, type PlacementRefusal } from "#pkg/placement";
import { list } from "#pkg/text";
import { type CauseOf, causes, remedyFor, sentence, type Verdict, verdict } from "#pkg/verdict";
import { occupiedVerdict } from "../conflicts/conflict-reports.ts";
import { occupantOf } from "../conflicts/quarantine.ts";
import { eligibilityOf } from "../members/nodes.ts";
import { reportedAnnouncers } from "../protocols/announcers.ts";
import { layer2PoolAt, type SpeakerState } from "../state.ts";
import { allAwayVerdict, obstacleVerdict, refusalVerdict, withoutCentral } from "../verdicts/refusals.ts";
import { type FaultOf, faultOf, gistOf, sessionFault, suffers, textOf } from "./faults.ts";
import { deliveryOf as bgpDelivery, choosing, notGranted } from "./policy.ts";
import { addressesOf, endpointsOf, idleEndpointsOf, policyOf } from "./services.ts";

/** Whether a Service is announced by any node, as all that one speaker knows of the others says. */
export interface Outcome {
  readonly line: AnnouncedLine;
  /** Cause, owner, remedy and addresses: a line with another gist is written. */
  readonly gist: string;
}

/** One address by one protocol. `fault`: what Services on the address suffer from, or why it is not announced. */
type Found =
  | { readonly how: string; readonly fault: FaultOf | undefined; readonly notGranted?: string | undefined }
  | { readonly verdict: Verdict; readonly fault?: FaultOf | undefined; readonly unaware?: readonly string[] }
  | "unknown";

/**
 * Undefined for a Service without addresses. `unknown`: not yet placed; or by BGP, where nodes do not report what their sessions carry,
 * as speakers of MetalLB and nodes without a ring do not.
 */
export function outcomeOf(state: SpeakerState, key: string): Outcome | "unknown" | undefined {
  const service = state.services.rows.get(key)?.service;
  const addresses = addressesOf(state.services, key);
  if (service === undefined || addresses.length === 0) return undefined;
  const subject = subjectOf(service);
  const owners = new Map<string, Address[]>(); // who announces, in words -> addresses
  let isUnknown = false;
  let fault: FaultOf | undefined;
  let missing: string | undefined;
  for (const address of addresses) {
    const all = (state.placements.get(address.toString()) ?? []).map((placement) => found(state, key, placement));
    const announced = all.find((one) => typeof one === "object" && "how" in one);
    const failing = all.find((one) => typeof one === "object" && "verdict" in one);
    if (announced !== undefined) {
      owners.set(announced.how, [...(owners.get(announced.how) ?? []), address]);
      fault ??= announced.fault;
      missing ??= announced.notGranted;
    } else if (failing === undefined || all.includes("unknown")) isUnknown = true;
    else {
      const { verdict: wrong, fault: why, unaware = [] } = failing;
      const message = sentence(
        why === undefined ? { ...wrong, next: remedyFor(wrong, "service", key) } : { ...wrong, next: textOf(why) },
      );
      const line = { cause: wrong.cause as CauseOf<"service">, subject, message };
      return { line, gist: [subject, wrong.cause, gistOf(why) ?? wrong.next, ...unaware].join(" ") };
    }
  }
  if (isUnknown) return "unknown";
  const message = Array.from(
    owners,
    ([how, those]) => `${list(those)} ${those.length === 1 ? "is" : "are"} announced ${how}`,
  ).join("; ");
  if (fault === undefined && missing !== undefined) {
    const line = { cause: "announcedWithFault", subject, message: `${message}; ${missing}` } as const;
    return { line, gist: `${subject} ${message} ${missing}` };
  }
  if (fault === undefined) return { line: { cause: "announced", subject, message }, gist: `${subject} ${message}` };
  const line = { cause: "announcedWithFault", subject, message: `${message}; ${textOf(fault)}` } as const;
  return { line, gist: `${subject} ${message} ${gistOf(fault)}` };
}

function found(state: SpeakerState, key: string, placement: AddressPlacement): Found {
  const { address, isOwned } = placement;
  const result = placement.verdicts.get(key);
  if (result === undefined) return "unknown";
  if (!result.announced && isCommon(result)) {
    const unaware = unawareAnnouncers(state, placement);
    return { verdict: refused(state, key, placement, result, unaware), unaware };
  }
  const own = result.announced ? undefined : refused(state, key, placement, result);
  if (!isOwned) return byAnyNode(state, key, placement, own);
  if (own !== undefined) {
    const [last] = unawareAnnouncers(state, placement);
    return last === undefined ? { verdict: own } : { how: `by ${last}, which does not reach the API`, fault: undefined };
  }
  const owner = ownerOf(placement);
  if (owner === undefined)
    return { verdict: verdict("service", "unsettled", { message: `the owner of ${address} is about to be settled` }) };
  if (isUnaware(state, owner) && !reportedAnnouncers(state, address).announcers.includes(owner)) {
    const message = `${owner} is to announce ${address}, does not reach the API, and does not announce it`;
    return { verdict: verdict("service", "unsettled", { message, next: causes.node.apiViewOld.next }) };
  }
  const occupant = occupantOf(state, address.toString());
  if (occupant?.node === owner)
    return { verdict: occupiedVerdict(state, { address, mac: occupant.mac, interface: occupant.interface }) };
  return { how: `by ${owner}`, fault: faultOf(state, owner, (about) => suffers(state, key, address, owner, about)) };
}

/** Whether the node has lost the API: it does not hear of changes since. */
function isUnaware({ node: self, members: { gossip } }: SpeakerState, node: string): boolean {
  return node !== self && gossip !== undefined && gossip.view(node) !== "current";
}

/** The nodes that announce it, and have lost the API. */
function unawareAnnouncers(state: SpeakerState, placement: AddressPlacement): readonly string[] {
  const { active, central } = state.members;
  if (!placement.isOwned)
    return [...active, ...central].filter((node) => isUnaware(state, node) && deliveryOf(state, node, placement) === "carried");
  const { announcers } = reportedAnnouncers(state, placement.address);
  return announcers.filter((node) => isUnaware(state, node) && active.includes(node));
}

function refused(
  state: SpeakerState,
  key: string,
  placement: AddressPlacement,
  refusal: PlacementRefusal,
  unaware: readonly string[] = [],
): Verdict {
  const policy = policyOf(state, key);
  return refusalVerdict(state, placement, refusal, { policy, idle: idleEndpointsOf(state.services, key), unaware });
}

/** Whether all nodes refuse it for this reason, where each speaks for itself. */
function isCommon({ reason }: PlacementRefusal): boolean {
  const common: readonly string[] = ["ipNotAllowed", "noReadyEndpoint", "notAdvertised", "sharedByTooMany", "protocolNone"];
  return common.includes(reason);
}

/** By BGP, or in the kernels of nodes: each node announces by itself. @param own why this node does not */
function byAnyNode(state: SpeakerState, key: string, placement: AddressPlacement, own: Verdict | undefined): Found {
  const { address, pool } = placement;
  const isLocal = policyOf(state, key) === "Local";
  const ready = isLocal ? endpointsInUse(endpointsOf(state.services, key, address.family)).map(({ nodeName }) => nodeName) : [];
  const { active, central } = state.members;
  const nodes = isLocal ? active.filter((node) => ready.includes(node)) : active;
  const announcers = isByBgp(placement) ? [...nodes, ...central] : nodes;
  if (isCentral(state.node) && own !== undefined) return { verdict: own };
  const states = new Map<Delivery | undefined, string[]>();
  const away = announcers.filter((node) => !isCentral(node) && eligibilityOf(state, [], node) !== "eligible");
  let mayCarry = false;
  for (const node of announcers) {
    const delivery = deliveryOf(state, node, placement);
    if (delivery === "carried" && !mayKnow(state, node, address)) {
      mayCarry = true;
      continue;
    }
    if (delivery === "carried" && !isByBgp(placement)) return { how: "by the kernels of nodes", fault: undefined };
    if (delivery === "carried")
      return {
        how: "by BGP",
        fault: sessionFault(state, [node], placement, "path") ?? forwardingFault(state, nodes, key, placement),
        notGranted: notGranted(state, key, placement),
      };
    const those = states.get(delivery) ?? [];
    states.set(delivery, those);
    those.push(node);
  }
  if (mayCarry) return "unknown";
  if (nodes.length === 0 && !isCentral(state.node))
    return {
      verdict: refused(state, key, placement, {
        announced: false,
        reason: isLocal ? "noReadyEndpointOnActiveNode" : "noActiveSpeaker",
      }),
    };
  if (states.has(undefined)) return "unknown";
  const where = `${address} of pool ${pool}`;
  const notCarried = states.get("notCarried");
  if (notCarried !== undefined) {
    const message = `sessions are established, and none carries the route for ${where}: ${list(notCarried)}`;
    const fault = sessionFault(state, notCarried, placement, "path");
    return { verdict: verdict("service", "routeNotCarried", { state: "Pending", message }), fault };
  }
  const noSession = states.get("noSession");
  if (noSession !== undefined) {
    const message = `no node has a BGP session with a router for ${where}: ${list(noSession)}`;
    const next = "run ingotctl peers, which names the fault of each session";
    return {
      verdict: verdict("service", "noSession", { message, next }),
      fault: sessionFault(state, noSession, placement, "peer"),
    };
  }
  if (!isByBgp(placement))
    return own === undefined ? "unknown" : { verdict: routedVerdict(state, key, placement, announcers) ?? own };
  if (away.length > 0) return { verdict: awayVerdict(state, placement, away, announcers) };
  const message = `no node has a BGP peer for an advertisement of pool ${pool}, so that none announces ${address}`;
  return { verdict: withoutCentral(state, `${address}`) ?? verdict("service", "noPeer", { message }) };
}

/** Why no kernel has the address, where that is for the nodes with endpoints another reason than for this one. */
function routedVerdict(
  state: SpeakerState,
  key: string,
  placement: AddressPlacement,
  nodes: readonly string[],
): Verdict | undefined {
  const selectors = state.config?.pools.find(placement.address)?.nodeSelectors ?? [];
  const excluded = nodes.filter((node) => eligibilityOf(state, selectors, node) === "excluded");
  const policy = policyOf(state, key);
  if (excluded.length > 0)
    return obstacleVerdict(state, placement, { announced: false, reason: "nodeExcluded", nodes: excluded }, policy);
  const areOthers = nodes.every((node) => eligibilityOf(state, selectors, node) === "notSelected");
  return areOthers ? obstacleVerdict(state, placement, { announced: false, reason: "noNodeSelected" }, policy) : undefined;
}

/**
 * Whether a node announces what it may announce. One that has lost the API knows no new Service, and does not report all that it announces: what it
 * does not report was told before.
 */
function mayKnow(state: SpeakerState, node: string, address: Address): boolean {
  if (!isUnaware(state, node)) return true;
  const { gossip } = state.members;
  const text = address.toString();
  return gossip?.announcers(text).includes(node) === true || gossip?.advertisers(text).includes(node) === true;
}

/** Labels or taints keep some nodes from the address; others that the pool selects lack a peer, so that it takes more than these nodes. */
function awayVerdict(
  state: SpeakerState,
  { address, pool }: AddressPlacement,
  away: readonly string[],
  announcers: readonly string[],
): Verdict {
  const found = allAwayVerdict(state, address, away);
  const { nodeSelectors = [] } = state.config?.pools.find(address) ?? {};
  const peerless = announcers.filter((node) => isCentral(node) || eligibilityOf(state, nodeSelectors, node) === "eligible");
  if (peerless.length === 0) return found;
  const message = `${address} is announced by no node: ${list(peerless)} ${peerless.length === 1 ? "has" : "have"} no BGP peer for an advertisement of pool ${pool}, and a label or taint keeps it from ${list(away)}`;
  const next = `${causes.service.noPeer.next}; or ${found.next}`;
  return verdict("service", "noPeer", { message, evidence: found.evidence, next });
}

/** Whether a member that failed, and may live behind a cut of the ring, may announce the Service there. */
export function mayBeOutOfSight(state: SpeakerState, key: string): boolean {
  const { members, nodes } = state;
  if (members.lost.size === 0) return false;
  const isLocal = policyOf(state, key) === "Local";
  return addressesOf(state.services, key).some((address) => {
    const pool = layer2PoolAt(state, address);
    // By BGP advertisements have their own.
    const selectors = pool === undefined || pool.protocols.includes("bgp") ? [] : pool.nodeSelectors;
    const ready = endpointsInUse(endpointsOf(state.services, key, address.family)).map(({ nodeName }) => nodeName);
    return members.lost.values().some((node) => {
      const mayAnnounce = !nodes.labels.has(node) || eligibilityOf(state, selectors, node) === "eligible";
      return mayAnnounce && (!isLocal || ready.includes(node));
    });
  });
}

/** Routers share packets out among all nodes with routes, so that each of these has to pass on what it gets. */
function forwardingFault(
  state: SpeakerState,
  nodes: readonly string[],
  key: string,
  placement: AddressPlacement,
): FaultOf | undefined {
  const { address } = placement;
  for (const node of nodes) {
    const isAbout = (about: string) => about === `forwarded ${address.family}` && suffers(state, key, address, node, about);
    const fault = faultOf(state, node, isAbout);
    if (fault !== undefined && deliveryOf(state, node, placement) === "carried") return fault;
  }
  return undefined;
}

/** The nodes that announce an address without an owner, each by itself. */
export function announcersOf(state: SpeakerState, placement: AddressPlacement): readonly string[] {
  const { active, central } = state.members;
  return placement.isOwned ? [] : [...active, ...central].filter((node) => deliveryOf(state, node, placement) === "carried");
}

/** How the node delivers the address; undefined where it does not report that. */
function deliveryOf(state: SpeakerState, node: string, placement: AddressPlacement): Delivery | undefined {
  const { members, config } = state;
  const { address } = placement;
  const pool = config?.pools.find(address);
  if (isByBgp(placement)) return pool && bgpDelivery(state, node, pool, address.family, choosing(placement));
  const { nodeSelectors = [] } = pool ?? {};
  if (eligibilityOf(state, nodeSelectors, node) !== "eligible") return "noPeer";
  const isAble =
    node === state.node ? state.kernel.found.failure === undefined : members.gossip?.reachability(node)?.hasKernelAccess;
  return isAble === undefined ? undefined : isAble ? "carried" : "noPeer";
}

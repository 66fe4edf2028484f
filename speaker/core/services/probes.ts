import { isIn } from "#pkg/collections";
import { isCentral } from "#pkg/gossip";
import type { Address } from "#pkg/net";
import { type AddressPlacement, endpointsInUse, isByBgp, ownerOf } from "#pkg/placement";
import { drainedAmong, eligibilityOf, undeliveringFor } from "../members/nodes.ts";
import { poolAt, type SpeakerState } from "../state.ts";
import { announcersOf } from "./outcome.ts";
import { currentOwner, isTester, type ProbedService, portOf, sharesLink, type WireTest } from "./self-tests.ts";
import { endpointsOf, holderKeys, policyOf } from "./services.ts";

/** What this node can do when somebody asks it to try an address. */
export interface ProbePlan {
  /** Tests that other nodes carry out. */
  readonly tests: readonly WireTest[];
  /** The Service that clients connect to where this node announces the address. */
  readonly own: ProbedService | undefined;
  /** Whether this node announces it, or central speakers lead to it. */
  readonly isHere: boolean;
  /** Set on a central speaker: the nodes that it leads to, each with its address as the next hop. */
  readonly nextHops: readonly NextHop[];
  /** Why there is nothing to do; empty where there is. */
  readonly why: string;
}

export interface NextHop {
  readonly address: Address;
  /** Undefined for an address that is no node's, such as one of the configuration. */
  readonly node: string | undefined;
}

/**
 * An address that one node owns is tried at that node, by all others; of one with routes by way of several nodes each of these is tried by
 * the next node, by name, that is on a link with it.
 */
export function probePlan(state: SpeakerState, address: Address): ProbePlan {
  const { node } = state;
  const key = address.toString();
  if (isCentral(node)) return centralPlan(state, address);
  const service = portOf(state, holderKeys(state.services, key));
  const owner = currentOwner(state, key);
  const routed = (state.placements.get(key) ?? []).filter(({ isOwned }) => !isOwned);
  const announcers = [...new Set(routed.flatMap((placement) => announcersFor(state, placement, service)))];
  const isHere = owner === node || announcers.includes(node);
  const tests: WireTest[] = [];
  if (owner !== undefined && owner !== node) tests.push({ address, owner, port: service?.port });
  for (const one of announcers)
    if (routedTester(state, one) === node) tests.push({ address, owner: one, port: service?.port, isRouted: true });
  const isIdle = tests.length === 0 && !isHere;
  const isAnnounced = owner !== undefined || announcers.length > 0;
  const why = isAnnounced ? "other nodes try it" : "no node announces it";
  return { tests, own: isHere ? service : undefined, isHere, nextHops: [], why: isIdle ? why : "" };
}

/** A central speaker is on no link with clients: it says which nodes it leads to, and their speakers try them. */
function centralPlan({ placements, served }: SpeakerState, address: Address): ProbePlan {
  const nodeOf = new Map([...served.nodes].map(([name, { paths }]) => [`${paths.get(address.family)?.nextHop}`, name]));
  const routes = (placements.get(address.toString()) ?? []).flatMap((placement) => (isByBgp(placement) ? placement.routes : []));
  const paths = routes.flatMap(({ via }) => {
    const { nextHop, nextHopV6 } = via.advertisement;
    const fixed = address.family === "IPv4" ? nextHop : nextHopV6;
    return via.slots.get(address.family)?.map((path) => path.nextHop) ?? fixed ?? [];
  });
  const byText = new Map(paths.map((path) => [`${path}`, path]));
  const nextHops = [...byText].map(([text, path]) => ({ address: path, node: nodeOf.get(text) }));
  const isHere = routes.length > 0;
  return { tests: [], own: undefined, isHere, nextHops, why: isHere ? "" : "it does not announce it" };
}

/** The one test of this address in a round through all addresses, if this node has to make it. */
export function roundTest(state: SpeakerState, placement: AddressPlacement): WireTest | undefined {
  const { address, isOwned } = placement;
  const service = portOf(state, holderKeys(state.services, address.toString()));
  const pick = <T>(all: readonly T[]): T | undefined => all[Number(address.value % BigInt(Math.max(1, all.length)))];
  if (isOwned) {
    const owner = isTester(state, placement) ? ownerOf(placement) : undefined;
    return owner === undefined ? undefined : { address, owner, port: service?.port };
  }
  const announcer = pick(announcersFor(state, placement, service));
  if (announcer === undefined || service === undefined || routedTester(state, announcer) !== state.node) return undefined;
  return { address, owner: announcer, port: service.port, isRouted: true };
}

/** Nodes that announce an address without an owner, and pass on what comes for this Service. */
function announcersFor(state: SpeakerState, placement: AddressPlacement, service: ProbedService | undefined): readonly string[] {
  const announcers = announcersOf(state, placement);
  const ofNodes = announcers.filter((one) => !isCentral(one));
  const nodes = ofNodes.length < announcers.length ? [...new Set([...ofNodes, ...nextHopNodes(state, placement)])] : ofNodes;
  if (service === undefined || policyOf(state, service.key) === "Cluster") return nodes;
  const endpoints = endpointsInUse(endpointsOf(state.services, service.key, placement.address.family));
  const serving = new Set(endpoints.map(({ nodeName }) => nodeName));
  return nodes.filter((node) => serving.has(node));
}

/** The nodes that central speakers lead to, as far as other nodes know. */
function nextHopNodes(state: SpeakerState, { address }: AddressPlacement): readonly string[] {
  const pool = poolAt(state, address);
  const unable = pool === undefined ? [] : undeliveringFor(state, pool, address.family);
  const able = state.members.active.filter((node) => eligibilityOf(state, [], node) === "eligible");
  const drained = drainedAmong(state, able);
  const wanted = able.filter((node) => !drained.has(node) && !isIn(unable, node));
  return wanted.length > 0 ? wanted : able;
}

/** The node that tries the way over the announcer: the next one by name that is on a link with it. */
function routedTester(state: SpeakerState, announcer: string): string | undefined {
  const { active } = state.members;
  const after = active.findIndex((node) => node > announcer);
  const inTurn = after < 0 ? active : [...active.slice(after), ...active.slice(0, after)];
  return inTurn.find((node) => node !== announcer && sharesLink(state, node, announcer));
}

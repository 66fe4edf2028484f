import type { Address } from "#pkg/net";
import type { AddressPlacement } from "#pkg/placement";
import { ownedPlacement, type SpeakerState } from "../state.ts";
import { announcersOf } from "./outcome.ts";
import { type ProbedService, portOf, sharesLink, testersOf, type WireTest } from "./self-tests.ts";
import { endpointsOf, holderKeys, policyOf } from "./services.ts";

/** What this node can do when somebody asks it to try an address. */
export interface ProbePlan {
  /** Tests that other nodes carry out. */
  readonly tests: readonly WireTest[];
  /** The Service that clients connect to where this node announces the address. */
  readonly own: ProbedService | undefined;
  /** Whether this node announces it. */
  readonly isHere: boolean;
  /** Why there is nothing to do; empty where there is. */
  readonly why: string;
}

/**
 * An address that one node owns is tried at that node, by all others; of one with routes by way of several nodes each of these is tried by
 * the next node, by name, that is on a link with it.
 */
export function probePlan(state: SpeakerState, address: Address): ProbePlan {
  const { node } = state;
  const key = address.toString();
  const service = portOf(state, holderKeys(state.services, key));
  const { owner } = ownedPlacement(state, key) ?? {};
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
  return { tests, own: isHere ? service : undefined, isHere, why: isIdle ? why : "" };
}

/** Of a round through all addresses: the one test of this address, where it is this node's to do. */
export function roundTest(state: SpeakerState, placement: AddressPlacement): WireTest | undefined {
  const { address, isOwned, owner } = placement;
  const service = portOf(state, holderKeys(state.services, address.toString()));
  const pick = <T>(all: readonly T[]): T | undefined => all[Number(address.value % BigInt(Math.max(1, all.length)))];
  if (isOwned) {
    if (owner === undefined || pick(testersOf(state, address, owner)) !== state.node) return undefined;
    return { address, owner, port: service?.port };
  }
  const announcer = pick(announcersFor(state, placement, service));
  if (announcer === undefined || service === undefined || routedTester(state, announcer) !== state.node) return undefined;
  return { address, owner: announcer, port: service.port, isRouted: true };
}

/** Nodes that announce an address without an owner, and pass on what comes for this Service. */
function announcersFor(state: SpeakerState, placement: AddressPlacement, service: ProbedService | undefined): readonly string[] {
  const nodes = announcersOf(state, placement);
  if (service === undefined || policyOf(state, service.key) === "Cluster") return nodes;
  const serving = new Set(endpointsOf(state.services, service.key).flatMap(({ ready, nodeName }) => (ready > 0 ? nodeName : [])));
  return nodes.filter((node) => serving.has(node));
}

/** Who tries what comes by way of a node: the next by name that is on a link with it. */
function routedTester(state: SpeakerState, announcer: string): string | undefined {
  const { active } = state.members;
  const after = active.findIndex((node) => node > announcer);
  const inTurn = after < 0 ? active : [...active.slice(after), ...active.slice(0, after)];
  return inTurn.find((node) => node !== announcer && sharesLink(state, node, announcer));
}

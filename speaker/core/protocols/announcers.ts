import type { Millis } from "#pkg/clock";
import { hasOwners } from "#pkg/config";
import type { GossipState } from "#pkg/gossip";
import type { Address } from "#pkg/net";
import { type AddressPlacement, isByBgp, ownerOf, type ReportedAnnouncers } from "#pkg/placement";
import { ownedPlacement, poolAt, type SpeakerState } from "../state.ts";
import type { Placing } from "./protocol.ts";

// Nodes' reports on the ring about their announcements, each protocol by itself: a node that advertises an address by BGP does not answer
// for it, and its owner may have no peer. Nobody without the ring's key can say so in their name.

/**
 * Reports whether this node announces the address, while another one asks, or this one has no current view, or another one has none and some node has
 * reported it: a node without a current view that has left the address to this one would take it again, if the report ended.
 * @param isKept false: reports that only that keeps end
 */
export function reportAnnounced(state: SpeakerState, address: Address, isKept = true): void {
  const { node, members, apiView, conflicts } = state;
  const { gossip } = members;
  if (gossip === undefined) return;
  const key = address.toString();
  const isAsked = gossip.askers(key).some((asker) => asker !== node);
  const isBlind = (other: string) => other !== node && gossip.view(other) !== "current";
  const isDue = (announcers: readonly string[]) =>
    apiView.isReporting || announcers.some(isBlind) || (isKept && announcers.length > 0 && members.active.some(isBlind));
  const isOwner = conflicts.defended.get(key)?.isAnnounced === true;
  const isByRoute = isRoutedForLocal(state, key);
  const pool = poolAt(state, address);
  const isBesideOwner = pool !== undefined && hasOwners(pool);
  const reported = gossip.announcers(key);
  const isReported = (isAsked || isDue(reported)) && (isOwner || (isByRoute && !isBesideOwner));
  // A node without the API leaves an address to this one where it hears of the report: what is placed by a report that it may not hear of is placed again.
  if (isReported !== reported.includes(node) && reported.some(isBlind) && state.placements.has(key))
    state.agenda.addresses.set(key, address);
  gossip.setAnnounced(address, isReported);
  gossip.setAdvertised(address, isDue(gossip.advertisers(key)) && isByRoute && isBesideOwner);
}

/** The members' reports on who announces an address that has an owner. */
export function reportedAnnouncers(
  { node, members: { gossip } }: SpeakerState,
  address: Address,
): Required<Omit<ReportedAnnouncers, "undelivering" | "told">> {
  const key = address.toString();
  const announcers = gossip === undefined ? [] : [...gossip.announcers(key), ...gossip.owners(key)];
  return { node, announcers, unheeding: announcers.filter((one) => gossip?.summary(one)?.heedsViews !== true) };
}

// Two members tell the candidates of an address, so that the end of one of them changes nothing; so many candidates are told.
const maxTellers = 2;
const maxTold = 8;
// A cut ends for one member before it ends for another: until then the first one may seem to be the only candidate.
const joiningMs: Millis = 1_000;

/** The first members that see changes in the API. */
function tellersOf({ members: { active, gossip } }: SpeakerState): Iterable<string> {
  const isTeller = (node: string) => gossip?.isParticipating(node) === true && gossip.view(node) === "current";
  return active.values().filter(isTeller).take(maxTellers);
}

/**
 * Tells the nodes that may announce an address, where all of these see no changes in the API: each may have had an endpoint without knowing that it
 * has the last one. Not where they announce it anyway, nor beside a node that announces it and is of a version that heeds nothing of this. A
 * candidate that nobody tells yet waits for a second where a member has just joined, and not for longer where others go on joining.
 */
export function tellCandidates(state: SpeakerState, address: Address, placed: AddressPlacement | undefined, now: Millis): void {
  const { gossip, joinedAt, untold } = state.members;
  if (gossip === undefined) return;
  const key = address.toString();
  const told = placed === undefined ? [] : candidatesToTell(state, gossip, placed);
  const isNew = told.length > 0 && toldOf(state, gossip, address).length === 0;
  if (!isNew) untold.set(key, Infinity);
  else if (!untold.has(key) && now < joinedAt + joiningMs) untold.set(key, now + joiningMs);
  gossip.candidates.set(address, untold.has(key) ? [] : told);
}

/** Tells what has waited for members that join. */
export function tellUntold(state: SpeakerState, now: Millis): void {
  const { gossip, untold } = state.members;
  for (let key = untold.takeDue(now); key !== undefined; key = untold.takeDue(now)) {
    const placed = ownedPlacement(state, key);
    if (placed !== undefined) gossip?.candidates.set(placed.address, candidatesToTell(state, gossip, placed));
  }
}

/** Addresses with candidates that do not see changes in the API: one that sees them again tells these, also of pools of which it is no candidate. */
export function* addressesToTell({ placements, members: { gossip } }: SpeakerState): Generator<Address> {
  const known = new Map<readonly string[], boolean>(); // candidates, which thousands of addresses share -> whether one of them is such
  for (const key of gossip === undefined ? [] : placements.keys()) {
    const { address, candidates = [] } = ownedPlacement({ placements }, key) ?? {};
    const isBlind = known.get(candidates) ?? candidates.some((one) => gossip?.view(one) !== "current");
    known.set(candidates, isBlind);
    if (address !== undefined && isBlind) yield address;
  }
}

function candidatesToTell(state: SpeakerState, gossip: GossipState, placed: AddressPlacement): readonly string[] {
  const { address } = placed;
  if (!Iterator.from(tellersOf(state)).some((one) => one === state.node)) return [];
  const isTold = toldOf(state, gossip, address).length > 0;
  const meant = blindCandidates(gossip, placed, isTold);
  const { announcers, unheeding } = reportedAnnouncers(state, address);
  const isAnnounced = announcers.length > 0 && announcers.every((one) => meant.includes(one));
  const isHeeded = unheeding.every((one) => meant.includes(one));
  return (isTold || !isAnnounced) && isHeeded ? meant : [];
}

function toldOf(state: SpeakerState, gossip: GossipState, address: Address): readonly string[] {
  return gossip.candidates.of(address, tellersOf(state), state.members.active);
}

/** The owner that sees no changes in the API, or all candidates, none of which does, where they decide by themselves; else none. */
function blindCandidates(gossip: GossipState, placed: AddressPlacement, isTold: boolean): readonly string[] {
  const { candidates, chosen, rival } = placed;
  const isBlind = (one: string) => gossip.view(one) !== "current";
  const areAll = candidates.every(isBlind);
  if (areAll && chosen) return candidates.slice(0, maxTold);
  const owner = areAll || isTold || rival === undefined ? ownerOf(placed) : undefined; // In a large ring it takes an election.
  return owner !== undefined && isBlind(owner) ? [owner] : [];
}

/** The nodes that may announce the address, as members tell it that see changes in the API, while this one does not. */
export function toldCandidates(state: SpeakerState, address: Address): readonly string[] {
  const { apiView, members } = state;
  const { gossip } = members;
  return apiView.view === "current" || gossip === undefined ? [] : toldOf(state, gossip, address);
}

/** Whether this node sees no changes in the API, and others that see them report that they advertise the address by BGP. */
export function isAdvertisedByCurrent(state: SpeakerState, placing: Pick<Placing, "address" | "pool">): boolean {
  const { node, members, apiView } = state;
  if (apiView.view !== "old") return false;
  return advertisersOf(state, placing).some((other) => other !== node && members.gossip?.view(other) === "current");
}

/** The nodes that report that they advertise the address by BGP. */
export function advertisersOf(
  { members: { gossip } }: SpeakerState,
  { address, pool }: Pick<Placing, "address" | "pool">,
): readonly string[] {
  const key = address.toString();
  return (hasOwners(pool) ? gossip?.advertisers(key) : gossip?.announcers(key)) ?? [];
}

/** By BGP each node announces by itself. Where endpoints are matters to the others only for `Local` Services. */
function isRoutedForLocal({ placements }: SpeakerState, key: string): boolean {
  return placements.get(key)?.some((placement) => isByBgp(placement) && placement.isLocalHere) === true;
}

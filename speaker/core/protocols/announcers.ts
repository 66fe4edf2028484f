import { hasOwners } from "#pkg/config";
import type { Address } from "#pkg/net";
import { isByBgp, type ReportedAnnouncers } from "#pkg/placement";
import { poolAt, type SpeakerState } from "../state.ts";
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
  gossip.setAnnounced(address, (isAsked || isDue(gossip.announcers(key))) && (isOwner || (isByRoute && !isBesideOwner)));
  gossip.setAdvertised(address, isDue(gossip.advertisers(key)) && isByRoute && isBesideOwner);
}

/** The members' reports on who announces an address that has an owner. */
export function reportedAnnouncers(
  { node, members: { gossip } }: SpeakerState,
  address: Address,
): Omit<ReportedAnnouncers, "undelivering"> {
  const key = address.toString();
  return { node, announcers: gossip === undefined ? [] : [...gossip.announcers(key), ...gossip.owners(key)] };
}

/** Whether this node sees no changes in the API, and others that see them report that they advertise the address by BGP. */
export function isAdvertisedByCurrent(
  { node, members: { gossip }, apiView }: SpeakerState,
  { address, pool }: Pick<Placing, "address" | "pool">,
): boolean {
  if (apiView.view !== "old" || gossip === undefined) return false;
  const key = address.toString();
  const advertisers = hasOwners(pool) ? gossip.advertisers(key) : gossip.announcers(key);
  return advertisers.some((other) => other !== node && gossip.view(other) === "current");
}

/** By BGP each node announces by itself. Where endpoints are matters to the others only for `Local` Services. */
function isRoutedForLocal({ placements }: SpeakerState, key: string): boolean {
  return placements.get(key)?.some((placement) => isByBgp(placement) && placement.isLocalHere) === true;
}

import type { Address } from "#pkg/net";
import { isByBgp, type ReportedAnnouncers } from "#pkg/placement";
import type { SpeakerState } from "./state.ts";

// What nodes report on the ring of what they announce. Nobody without the ring's key can say so in their name.

/** Reports whether this node announces the address, while another one asks, or announces it without a current view, or this one has none. */
export function reportAnnounced(state: SpeakerState, address: Address): void {
  const { node, members, apiView } = state;
  const { gossip } = members;
  if (gossip === undefined) return;
  const key = address.toString();
  const isAsked = gossip.askers(key).some((asker) => asker !== node);
  const isSuccession = gossip.announcers(key).some((other) => other !== node && gossip.view(other) !== "current");
  gossip.setAnnounced(address, (isAsked || isSuccession || apiView.isReporting) && mayReport(state, key));
}

/** What the members report of who announces the address. */
export function reportedAnnouncers({ node, members: { gossip } }: SpeakerState, address: Address): ReportedAnnouncers {
  const key = address.toString();
  return { node, announcers: gossip === undefined ? [] : [...gossip.announcers(key), ...gossip.owners(key)] };
}

/** Whether this node sees nothing of what changes in the API, and others that do report that they announce the address. */
export function isAnnouncedByCurrent({ node, members: { gossip }, apiView }: SpeakerState, address: Address): boolean {
  if (apiView.view !== "old" || gossip === undefined) return false;
  return gossip.announcers(address.toString()).some((other) => other !== node && gossip.view(other) === "current");
}

/** By BGP each node announces by itself. Where endpoints are matters to the others only for `Local` Services. */
function mayReport({ conflicts, placements }: SpeakerState, key: string): boolean {
  if (conflicts.defended.get(key)?.isAnnounced === true) return true;
  return placements.get(key)?.some((placement) => isByBgp(placement) && placement.isLocalHere) === true;
}

import type { Millis } from "#pkg/clock";
import type { Pool } from "#pkg/config";
import type { Address } from "#pkg/net";
import { type Choose, StickyOwners } from "#pkg/placement";
import type { PlacementChange, Placing } from "../protocols/protocol.ts";
import type { SpeakerState } from "../state.ts";

/** Whether the pool asks for its addresses to stay where they are. */
export function isSticky(pool: Pool | undefined): boolean {
  return pool?.l2Placement.sticky === true;
}

/** Other nodes are active or participate than before, or the configuration asks for something else. */
export function stickyNodesChanged({ node, members, sticky }: SpeakerState, now: Millis): void {
  const { gossip, withoutGossip } = members;
  if (gossip === undefined || withoutGossip.length > 0) sticky.owners = undefined;
  else sticky.owners ??= new StickyOwners(node, gossip);
  sticky.owners?.nodesChanged(now);
}

/** Leaves what nobody owns alone for a while. */
export function holdSticky({ sticky }: SpeakerState, now: Millis): void {
  sticky.owners?.hold(now);
}

export function nextStickyAt({ sticky }: SpeakerState): Millis {
  return sticky.owners?.nextDeadline ?? Infinity;
}

export function stickyTimer({ sticky }: SpeakerState, now: Millis): void {
  sticky.owners?.timer(now);
}

/** Whether `settleSticky` has something to do. */
export function isStickyUnsettled({ sticky }: SpeakerState): boolean {
  return sticky.owners?.isSettled === false;
}

/** Whether addresses of the pool stay where they are now. */
export function isStickyInForce({ sticky }: SpeakerState, pool: Pool | undefined): boolean {
  return sticky.owners !== undefined && isSticky(pool);
}

/** How the announcer of an address is chosen; undefined for the election. */
export function stickyRule(
  { sticky: { owners } }: SpeakerState,
  { address, pool, before }: Placing,
  now: Millis,
): Choose | undefined {
  if (owners === undefined || !isSticky(pool)) return undefined;
  return (candidates, first, weights) => owners.place({ address, first, candidates, weights, before: before?.owner }, now);
}

/**
 * The address was placed. What this node has of what stays where it is it owns, also while other speakers have it elected.
 * @returns addresses that are to be reannounced
 */
export function notePlaced(
  { node, members: { gossip }, sticky: { owners } }: SpeakerState,
  { address, pool, placed }: PlacementChange,
): readonly Address[] {
  if (gossip === undefined) return [];
  if (placed === undefined || !isSticky(pool)) {
    owners?.remove(address);
    gossip.release(address);
  } else if (owners === undefined) {
    if (placed.owner === node) gossip.own(address);
    else gossip.release(address);
  }
  return owners?.takeRegained() ?? [];
}

/**
 * To be called when all is placed: which nodes have room for more depends on that.
 * @returns the addresses that another node announces now, to be placed again
 */
export function settleSticky({ sticky }: SpeakerState, now: Millis): readonly Address[] {
  return sticky.owners?.settle(now) ?? [];
}

/** Nodes whose gossip may not have arrived here. */
export function stickyPulls({ sticky }: SpeakerState): readonly string[] {
  return sticky.owners?.takePulls() ?? [];
}

import type { Millis } from "#pkg/clock";
import type { Pool } from "#pkg/config";
import type { Address } from "#pkg/net";
import { type AddressPlacement, type Choose, StickyOwners } from "#pkg/placement";
import type { SpeakerState } from "./state.ts";

// For speakers that start together, or hear of a new configuration one after another.
const holdMs: Millis = 1_000;
// Longer than one node is away while all are restarted in turn: what it had is not to go back and forth.
const restMs: Millis = 5 * 60_000;

/** Whether the pool asks for its addresses to stay where they are. */
export function isSticky(pool: Pool | undefined): boolean {
  return pool?.l2Placement.sticky === true;
}

/** Other nodes are active or participate than before, or the configuration asks for something else. */
export function stickyNodesChanged({ node, members, sticky }: SpeakerState, now: Millis): void {
  const { gossip, withoutGossip } = members;
  if (gossip === undefined || withoutGossip.length > 0) sticky.owners = undefined;
  else sticky.owners ??= new StickyOwners(node, gossip);
  sticky.owners?.nodesChanged();
  sticky.isAtRest = false;
  sticky.nodesChanged = sticky.restAt !== Infinity;
  if (sticky.restAt === Infinity) sticky.restAt = now + restMs;
}

/** Leaves what nobody owns alone for a while. */
export function holdSticky({ sticky }: SpeakerState, now: Millis): void {
  if (sticky.holdUntil === Infinity) sticky.holdUntil = now + holdMs;
}

export function nextStickyAt({ sticky }: SpeakerState): Millis {
  return Math.min(sticky.holdUntil, sticky.restAt);
}

/** @returns whether addresses of `sticky` pools are to be placed again */
export function stickyTimer({ sticky }: SpeakerState, now: Millis): boolean {
  const isHoldOver = now >= sticky.holdUntil;
  if (isHoldOver) sticky.holdUntil = Infinity;
  if (now < sticky.restAt) return isHoldOver;
  sticky.isAtRest = !sticky.nodesChanged;
  sticky.nodesChanged = false;
  sticky.restAt = sticky.isAtRest ? Infinity : now + restMs;
  return isHoldOver || sticky.isAtRest;
}

/** Whether addresses of the pool stay where they are now. */
export function isStickyInForce({ sticky }: SpeakerState, pool: Pool | undefined): boolean {
  return sticky.owners !== undefined && isSticky(pool);
}

/**
 * How the owner of an address is chosen; undefined for the election.
 * @param before who had it until now
 */
export function stickyRule(
  { sticky: { owners } }: SpeakerState,
  address: Address,
  pool: Pool | undefined,
  before: string | undefined,
): Choose | undefined {
  if (owners === undefined || !isSticky(pool)) return undefined;
  return (candidates, first) =>
    first.equals(address) ? owners.place(address, candidates, before) : owners.follow(first, candidates);
}

/**
 * The address was placed. Owns what this node has of what stays where it is, also while other speakers have it chosen by hash.
 * @returns whether every host is to hear of it again
 */
export function notePlaced(
  { node, members: { gossip }, sticky }: SpeakerState,
  { address, electionAddress, owner }: AddressPlacement,
  pool: Pool | undefined,
): boolean {
  if (gossip === undefined) return false;
  const key = address.toString();
  const stays = isSticky(pool) && electionAddress.equals(address);
  if (!stays) sticky.owners?.remove(address);
  if (!stays || owner !== node) {
    gossip.release(address);
    sticky.contested.delete(key);
    return false;
  }
  if (!sticky.owners?.isGivenAway(address)) gossip.own(address);
  if (gossip.owners(key).length <= 1) return sticky.contested.delete(key); // Hosts may have believed the other one last.
  sticky.contested.add(key);
  return false;
}

/**
 * To be called when all is placed: which nodes have room for more depends on that.
 * @returns the addresses that have another owner now, to be placed again
 */
export function settleSticky({ sticky: { owners, holdUntil, isAtRest } }: SpeakerState): readonly Address[] {
  return owners?.settle(holdUntil !== Infinity ? "hold" : isAtRest ? "even" : "limit") ?? [];
}

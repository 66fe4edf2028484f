import type { Millis } from "#pkg/clock";
import { isSlotPool, type Pool } from "#pkg/config";
import type { Address } from "#pkg/net";
import { type Choose, StickyOwners } from "#pkg/placement";
import type { PlacementChange, Placing } from "../protocols/protocol.ts";
import type { SpeakerState } from "../state.ts";

/** Whether the pool asks for its addresses to stay where they are. */
export function isSticky(pool: Pool | undefined): boolean {
  return pool?.l2Placement.sticky === true;
}

function ownersOf({ sticky, slots }: SpeakerState, pool: Pool | undefined): StickyOwners | undefined {
  if (!isSticky(pool)) return undefined;
  return isSlotPool(pool) ? slots.owners.get(pool.name) : sticky.owners;
}

function allOwners({ sticky, slots }: SpeakerState): readonly StickyOwners[] {
  return sticky.owners === undefined ? [...slots.owners.values()] : [sticky.owners, ...slots.owners.values()];
}

/** Other nodes are active or participate than before, or the configuration asks for something else. */
export function stickyNodesChanged(state: SpeakerState, now: Millis): void {
  const { node, members, sticky, slots } = state;
  const { gossip, withoutGossip } = members;
  if (gossip === undefined || withoutGossip.length > 0) sticky.owners = undefined;
  else sticky.owners ??= new StickyOwners(node, gossip);
  // Speakers without gossip own no slots.
  for (const name of slots.owners.keys()) if (!slots.pools.some((pool) => pool.name === name)) slots.owners.delete(name);
  if (gossip !== undefined)
    for (const { name } of slots.pools) if (!slots.owners.has(name)) slots.owners.set(name, StickyOwners.even(node, gossip));
  for (const owners of allOwners(state)) owners.nodesChanged(now);
}

/** Leaves what nobody owns alone for a while. */
export function holdSticky(state: SpeakerState, now: Millis): void {
  for (const owners of allOwners(state)) owners.hold(now);
}

export function nextStickyAt(state: SpeakerState): Millis {
  return allOwners(state).reduce((next, { nextDeadline }) => Math.min(next, nextDeadline), Infinity);
}

export function stickyTimer(state: SpeakerState, now: Millis): void {
  for (const owners of allOwners(state)) owners.timer(now);
}

/** Whether `settleSticky` has something to do. */
export function isStickyUnsettled(state: SpeakerState): boolean {
  return allOwners(state).some(({ isSettled }) => !isSettled);
}

/** Whether addresses of the pool stay where they are now. */
export function isStickyInForce(state: SpeakerState, pool: Pool | undefined): boolean {
  return ownersOf(state, pool) !== undefined;
}

/** How the announcer of an address is chosen; undefined for the election. */
export function stickyRule(
  state: SpeakerState,
  { address, pool, before }: Pick<Placing, "address" | "pool" | "before">,
  now: Millis,
): Choose | undefined {
  const owners = ownersOf(state, pool);
  if (owners === undefined) return undefined;
  return (candidates, first, weights) => owners.place({ address, first, candidates, weights, before: before?.owner }, now);
}

/**
 * The address was placed. What this node has of what stays where it is it owns, also while other speakers have it elected.
 * @returns addresses that are to be reannounced
 */
export function notePlaced(state: SpeakerState, { address, pool, placed }: PlacementChange): readonly Address[] {
  const { node } = state;
  const { gossip } = state.members;
  if (gossip === undefined) return [];
  const owners = ownersOf(state, pool);
  for (const other of allOwners(state)) if (other !== owners || placed === undefined) other.forget(address);
  if (placed === undefined || !isSticky(pool)) gossip.release(address);
  else if (owners === undefined) {
    if (placed.owner === node) gossip.own(address);
    else gossip.release(address);
  }
  return allOwners(state).flatMap((one) => one.takeRegained());
}

/**
 * To be called when all is placed: which nodes have room for more depends on that.
 * @returns the addresses that another node announces now, to be placed again
 */
export function settleSticky(state: SpeakerState, now: Millis): readonly Address[] {
  return allOwners(state).flatMap((owners) => owners.settle(now));
}

/** Nodes whose gossip may not have arrived here. */
export function stickyPulls(state: SpeakerState): readonly string[] {
  return allOwners(state).flatMap((owners) => owners.takePulls());
}

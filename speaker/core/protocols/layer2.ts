import type { Millis } from "#pkg/clock";
import type { Pool } from "#pkg/config";
import type { Address } from "#pkg/net";
import { type AddressPlacement, oldestOf, ownerOf, place } from "#pkg/placement";
import { announceAddress, reannounceAddress, whyHeldBack, withdrawAddress } from "../conflicts/address-defender.ts";
import type { MeasuredEffect, SpeakerEffect } from "../effects.ts";
import { isAwaited } from "../handovers/awaited.ts";
import { handOver } from "../handovers/handovers.ts";
import { interfacesHere, nicItem } from "../interfaces/nics.ts";
import { isRingLarge, nodesOf, undeliveringAt, undeliveringFor } from "../members/nodes.ts";
import { isSticky, notePlaced, settleSticky, stickyRule } from "../placement/sticky.ts";
import { layer2PoolOf } from "../services/policy.ts";
import type { SpeakerState } from "../state.ts";
import { reportedAnnouncers, tellCandidates, toldCandidates } from "./announcers.ts";
import type { PlacementChange, Placing, Protocol } from "./protocol.ts";

/** ARP and NDP: each address has one owner, which answers for it. */
export const layer2: Protocol = {
  place: placeOwned,
  apply() {},
  isAnnounced: isAnnouncedByOwner,
  settle: (state, now) => settleSticky(state, now),
  flush() {},
};

/** Whether this node owns the address, and does not keep it back for another host that has it, or may have it. */
export function isAnnouncedByOwner(state: SpeakerState, { address, owner }: AddressPlacement): boolean {
  return owner === state.node && whyHeldBack(state, address) === undefined;
}

/** Chooses the owner of an address. */
export function placeOwned(state: SpeakerState, placing: Placing, now: Millis): AddressPlacement {
  const { address, holders, pool, before } = placing;
  const rule = stickyRule(state, placing, now);
  const own = layer2PoolOf(state, oldestOf(holders)?.service, pool);
  const nodes = nodesOf(state, own?.pool ?? pool);
  const undelivering = undeliveringAt(state, pool, address);
  const told = toldCandidates(state, address);
  const isUsual = nodes.behind.length === 0 && undelivering.length === 0 && told.length === 0;
  const reported = isUsual ? undefined : { ...reportedAnnouncers(state, address), undelivering, told };
  const those = own === undefined ? holders.map((holder) => ({ ...holder, isAdvertised: false })) : holders;
  const alone = isElectedAlone(state, pool) && nodes.withoutViews.length === 0 ? state.node : undefined;
  const placed = place(address, those, nodes, before, rule, reported, alone);
  return own?.entry === undefined ? placed : { ...placed, entry: own.entry };
}

/**
 * In a large ring a node finds out whether it owns an address, and not which other one does: whole elections of 10,000 addresses take seconds. Not where
 * connections go on at their former owner.
 */
function isElectedAlone(state: SpeakerState, pool: Pool): boolean {
  return isRingLarge(state) && pool.protocols.join() === "layer2" && !pool.keepConnections && !isSticky(pool);
}

/**
 * This node becomes or stops being the owner of an address, with any protocol: on the wire, and on the NIC if the address belongs there.
 */
export function applyOwner(state: SpeakerState, change: PlacementChange, now: Millis, effects: SpeakerEffect[]): void {
  const { node } = state;
  const { address, pool, before, placed } = change;
  const isFirst = isFirstOwner(state, change);
  const item = placed?.owner === node && placed.protocol === "interface" ? nicItem(state, address, pool) : undefined;
  // An address of a NIC needs one in whose subnet it is; without, this node may be the owner for a moment, or where there is no ring.
  const canHave = item !== undefined && state.kernel.found.failure === undefined;
  const isOwner = placed?.owner === node && (placed.protocol === "layer2" || canHave);
  tellCandidates(state, address, placed, now);
  handOver(state, change, now, effects); // Before hosts send to this node.
  if (isOwner && pool !== undefined) {
    const interfaces = item === undefined ? interfacesHere(state, pool) : [item.interface];
    const on = { interfaces, conflictProbe: pool.conflictProbe, isFirst, item };
    if (!isAwaited(state, address)) announceAddress(state, address, on, now, effects);
    const last = before && (before.owner === node ? undefined : ownerOf(before));
    if (last !== undefined) {
      const how = takenOver(state, address, pool, last, now);
      const entry = state.conflicts.defended.get(address.toString());
      if (entry !== undefined) entry.takenOver = "afterMs" in how ? how : undefined;
      effects.push(how);
    }
  } else withdrawAddress(state, address, effects);
  for (const regained of notePlaced(state, change)) reannounceAddress(state, regained, effects);
}

function takenOver(
  state: SpeakerState,
  address: Address,
  pool: Pool,
  from: string,
  now: Millis,
): Extract<MeasuredEffect, { readonly type: "tookOver" }> {
  const { members } = state;
  const missing = members.missing.get(from);
  if (missing === undefined || members.active.includes(from)) {
    const unable = [...undeliveringFor(state, pool, address.family), ...undeliveringAt(state, pool, address)];
    return { type: "tookOver", address, from, cause: unable.includes(from) ? "cannotDeliver" : "moved" };
  }
  return { type: "tookOver", address, from, cause: missing.cause, afterMs: now - missing.since };
}

/**
 * Others took this node for dead, and may have announced its addresses: it announces them again. Sticky addresses are left out: another
 * node that announced one owns it too, and the one of them that keeps it reannounces it when the others have yielded.
 */
export function reannounceAll(
  state: SpeakerState,
  placements: Iterable<AddressPlacement>,
  stays: (address: Address) => boolean,
  effects: SpeakerEffect[],
): void {
  for (const { address, isOwned } of placements) if (isOwned && !stays(address)) reannounceAddress(state, address, effects);
}

/**
 * Whether some node is to announce the address, and none has since a Service got it: only then may the network be probed for a host that
 * has it, since later that would delay a succession. What Services held when this process began counts as announced. Every speaker keeps
 * this by itself, from the same Services and elections.
 */
function isFirstOwner({ hadOwner }: SpeakerState, { address, isHeld, placed }: PlacementChange): boolean {
  const key = address.toString();
  if (!isHeld) hadOwner.delete(key);
  if (!isHeld || (placed?.owner ?? placed?.rival) === undefined || hadOwner.has(key)) return false;
  hadOwner.add(key);
  return true;
}

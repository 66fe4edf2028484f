import type { Millis } from "#pkg/clock";
import type { Address } from "#pkg/net";
import { type AddressPlacement, place } from "#pkg/placement";
import { reportedAnnouncers } from "./announcers.ts";
import { announceAddress, reannounceAddress, withdrawAddress } from "./conflicts/address-defender.ts";
import type { MeasuredEffect, SpeakerEffect } from "./effects.ts";
import { nodesOf } from "./nodes.ts";
import type { Placing, Protocol } from "./protocol.ts";
import type { SpeakerState } from "./state.ts";
import { notePlaced, settleSticky, stickyRule } from "./sticky.ts";

/** ARP and NDP: each address has one owner, which answers for it. */
export const layer2: Protocol = {
  hasOwner: true,

  place(state, placing, now) {
    const { address, holders, pool, before } = placing;
    const rule = stickyRule(state, placing, now);
    const nodes = pool && nodesOf(state, pool);
    const reported = nodes !== undefined && nodes.behind.length > 0 ? reportedAnnouncers(state, address) : undefined;
    return place(address, holders, nodes, before, rule, reported);
  },

  apply(state, placing, placed, now, effects) {
    const { node } = state;
    const { address, pool, before } = placing;
    const isFirst = isFirstOwner(state, placing, placed);
    if (placed.owner === node && pool !== undefined) {
      const { interfaces, conflictProbe } = pool;
      announceAddress(state, address, { interfaces, conflictProbe, isFirst }, now, effects);
      if (before?.owner !== undefined && before.owner !== node) effects.push(takenOver(state, before.owner, now));
    }
    if (placed.owner !== node && before?.owner === node) withdrawAddress(state, address, effects);
    for (const regained of notePlaced(state, placed, pool)) reannounceAddress(state, regained, effects);
  },

  isAnnounced: ({ node }, { owner }) => owner === node,

  settle: (state, now) => settleSticky(state, now),

  flush() {},
};

function takenOver({ members }: SpeakerState, from: string, now: Millis): MeasuredEffect {
  const missing = members.missing.get(from);
  if (missing === undefined || members.active.includes(from)) return { type: "tookOver", cause: "moved" };
  return { type: "tookOver", cause: missing.cause, afterMs: now - missing.since };
}

/**
 * Others took this node for dead, and may have announced what it has: it is announced again. Not what stays where it is:
 * whoever announced that as well owns it too, and of these the one that keeps it reannounces it when the others have yielded.
 */
export function reannounceAll(
  state: SpeakerState,
  placements: Iterable<AddressPlacement>,
  stays: (address: Address) => boolean,
  effects: SpeakerEffect[],
): void {
  for (const { address, protocol } of placements)
    if (protocol === "layer2" && !stays(address)) reannounceAddress(state, address, effects);
}

/**
 * Whether some node is to announce the address, and none has since a Service got it: only then may the network be probed for a host that
 * has it, since later that would delay a succession. What Services held when this process began counts as announced. Every speaker keeps
 * this by itself, from the same Services and elections.
 */
function isFirstOwner({ hadOwner }: SpeakerState, { address, holders }: Placing, { owner }: AddressPlacement): boolean {
  const key = address.toString();
  if (holders.length === 0) hadOwner.delete(key);
  if (holders.length === 0 || owner === undefined || hadOwner.has(key)) return false;
  hadOwner.add(key);
  return true;
}

import type { Millis } from "#pkg/clock";
import type { AddressSighting } from "#pkg/layer2";
import { type Address, parseAddress } from "#pkg/net";
import type { Occupant } from "#pkg/quarantine";
import { poolAt, type SpeakerState } from "../state.ts";
import type { DefendedAddress } from "./conflict-state.ts";

// How many addresses answers can keep from being announced. Nobody proves who answers: one host can answer for a whole pool, and under another
// MAC address each time. Real hosts that have addresses of a pool are few, and seldom new ones.

// A host may have some addresses of a pool. One that answers for more answers for everything.
const maxOfOneHost = 3;
// All hosts together: of one pool, by all nodes as far as this one has read of it, in any ten minutes.
const maxOfPool = 16;
const window: Millis = 600_000;

/** Whether this foreign host, or the hosts of the pool together, answer for so many addresses that the answer keeps no address back. */
export function answersForMany(
  state: SpeakerState,
  { address, defense }: DefendedAddress,
  { mac }: AddressSighting,
  now: Millis,
): boolean {
  if (isOccupantOfMany(state, address, mac)) return true;
  // Once it is announced nothing more is held back, and earlier reports of the conflict stay.
  if (defense.stage !== "probing") return !defense.isQuarantined && defense.rivals.get(mac)?.sighting.answersForMany === true;
  const isHeldBack = defense.isQuarantined || defense.occupiedBy !== undefined;
  return !isHeldBack && !mayHoldBack(state, address, now);
}

/** The address is kept from being announced from now on. One that is quarantined already was counted then. */
export function noteHeldBack(state: SpeakerState, { address, defense }: DefendedAddress, now: Millis): void {
  if (!defense.isQuarantined) enter(state, address, now);
}

/** Other nodes keep these addresses back since `before`: a Service that a host drives from address to address goes from node to node. */
export function noteHeldBackElsewhere(
  state: SpeakerState,
  before: ReadonlyMap<string, Occupant>,
  occupants: ReadonlyMap<string, Occupant>,
  now: Millis,
): void {
  const { node: self, members } = state;
  for (const [text, { node }] of occupants) {
    if (before.has(text) || node === self || !members.active.includes(node)) continue;
    const address = parseAddress(text);
    if (address !== undefined && poolAt(state, address) !== undefined && mayHoldBack(state, address, now))
      enter(state, address, now);
  }
}

function mayHoldBack(state: SpeakerState, address: Address, now: Millis): boolean {
  const { heldBack } = state.conflicts;
  for (const [key, { at }] of heldBack) {
    if (now < at + window) break; // Oldest first.
    heldBack.delete(key);
  }
  if (heldBack.has(address.toString())) return true;
  const pool = poolAt(state, address)?.name;
  let count = 0;
  for (const one of heldBack.values()) if (one.pool === pool) count++;
  return count < maxOfPool;
}

function enter(state: SpeakerState, address: Address, now: Millis): void {
  const { heldBack } = state.conflicts;
  const key = address.toString();
  heldBack.delete(key); // One that is kept back again counts from now on, and is the newest.
  heldBack.set(key, { pool: poolAt(state, address)?.name, at: now });
}

function isOccupantOfMany({ conflicts }: SpeakerState, address: Address, mac: string): boolean {
  const own = address.toString();
  const others = new Set<string>();
  for (const [key, occupant] of conflicts.occupants) if (occupant.mac === mac && key !== own) others.add(key);
  for (const [key, writtenMac] of conflicts.written) if (writtenMac === mac && key !== own) others.add(key);
  return others.size >= maxOfOneHost;
}

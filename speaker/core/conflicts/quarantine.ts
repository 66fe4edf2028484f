import type { Millis } from "#pkg/clock";
import { isStrict, type Pool } from "#pkg/config";
import type { AddressSighting } from "#pkg/layer2";
import { type Address, parseAddress } from "#pkg/net";
import { hasInterface, isElected, type KnownReachability, subnetsFor } from "#pkg/placement";
import { decodeQuarantine, maxOccupants, type Occupant } from "#pkg/quarantine";
import type { SpeakerEffect } from "../effects.ts";
import { interfacesHere } from "../interfaces/nics.ts";
import { nodeOfMac } from "../members/members.ts";
import { reachabilityOf } from "../members/nodes.ts";
import { layer2PoolAt, poolAt, type SpeakerState } from "../state.ts";
import { noteHeldBackElsewhere } from "./held-back.ts";
import type { Rival } from "./rivals.ts";

// Quarantined addresses, which foreign hosts have, from the ConfigMap `ingot-conflicts`: no speaker announces them, and the controller
// assigns them to no Service. The speaker that sees such a host writes the entry. It probes the address each minute (if it is gone, or cannot,
// an elected speaker does that can) and removes the entry when nobody answers.

const inspectEvery: Millis = 60_000;
const probes = 3;
const probeInterval: Millis = 200;

/** The ConfigMap's present data. */
export function setOccupants(
  state: SpeakerState,
  data: Readonly<Record<string, string>>,
  now: Millis,
  effects: SpeakerEffect[],
): void {
  const { conflicts } = state;
  const before = conflicts.occupants;
  conflicts.occupants = decodeQuarantine(data);
  // Entries from before this speaker's start may be old.
  if (conflicts.isQuarantineRead) noteHeldBackElsewhere(state, before, conflicts.occupants, now);
  conflicts.isQuarantineRead = true;
  for (const [key, { address }] of conflicts.inspected)
    if (!conflicts.occupants.has(key)) endInspection(state, key, address, effects);
}

/** The entry for the address, if it counts. Pools that are not strict announce an address whoever has it. @param text the address */
export function occupantOf(state: SpeakerState, text: string): Occupant | undefined {
  const occupant = state.conflicts.occupants.get(text);
  const address = occupant && parseAddress(text);
  const pool = address && poolAt(state, address);
  return pool !== undefined && isStrict(pool) ? occupant : undefined;
}

/** A foreign host has an address that was to be announced. @returns whether there is room for an entry */
export function quarantine(
  { node, conflicts }: SpeakerState,
  { address, mac, interface: name }: Rival & { readonly address: Address },
  effects: SpeakerEffect[],
): boolean {
  const { occupants, written } = conflicts;
  const key = address.toString();
  const known = occupants.get(key);
  if (known?.mac === mac && known.node === node) return true; // Else the others take it for announced by this node.
  // A host that answers for every address must not fill the ConfigMap.
  if (known === undefined && !written.has(key) && occupants.size + written.size >= maxOccupants) return false;
  written.set(key, mac);
  effects.push({ type: "writeOccupant", address, occupant: { mac, node, interface: name } });
  return true;
}

/** A foreign host that uses an address that is being probed still has it. A speaker may announce it meanwhile, having seen no host. */
export function inspectSighted(state: SpeakerState, { address, kind, mac }: AddressSighting, effects: SpeakerEffect[]): void {
  const key = address.toString();
  if (kind !== "probes" && nodeOfMac(state.members.macs, mac) === undefined && state.conflicts.inspected.has(key))
    endInspection(state, key, address, effects);
}

export function nextInspectionAt({ inspectAt, inspected }: SpeakerState["conflicts"]): Millis {
  let at = inspectAt;
  for (const { dueAt } of inspected.values()) at = Math.min(at, dueAt);
  return at;
}

export function inspectionTimer(state: SpeakerState, now: Millis, chance: number, effects: SpeakerEffect[]): void {
  const { conflicts } = state;
  if (now >= conflicts.inspectAt) {
    if (conflicts.inspectAt !== -Infinity) inspect(state, now, effects);
    conflicts.inspectAt = now + inspectEvery * (0.75 + chance / 2); // Not all speakers at the same time.
  }
  for (const [key, inspection] of conflicts.inspected) {
    if (now < inspection.dueAt) continue;
    const { address } = inspection;
    if (inspection.probes < probes) {
      inspection.probes++;
      inspection.dueAt = now + probeInterval;
      effects.push({ type: "probe", address });
      continue;
    }
    endInspection(state, key, address, effects);
    if (!canProbe(state, state.node, layer2PoolAt(state, address))) continue; // It may have lost its carrier meanwhile, and asked nobody.
    const fields = { event: "addressFree", ip: address };
    effects.push({ type: "log", level: "info", message: "quarantine ended: nobody answers for the address any more", fields });
    conflicts.written.delete(key);
    effects.push({ type: "writeOccupant", address, occupant: undefined });
  }
}

function inspect(state: SpeakerState, now: Millis, effects: SpeakerEffect[]): void {
  const { conflicts } = state;
  for (const [key, { node: seenBy }] of conflicts.occupants) {
    const address = parseAddress(key);
    if (address === undefined || conflicts.inspected.has(key)) continue;
    const pool = layer2PoolAt(state, address);
    if (!isInspector(state, address, pool, seenBy)) continue;
    conflicts.inspected.set(key, { address, probes: 0, dueAt: now });
    if (!conflicts.defended.has(key))
      effects.push({ type: "listen", address, interfaces: pool === undefined ? [] : interfacesHere(state, pool) });
  }
}

/** Whether this node is the one that probes the address. @param pool the one that the address is of, if any */
function isInspector(state: SpeakerState, address: Address, pool: Pool | undefined, seenBy: string): boolean {
  const { active } = state.members;
  if (active.includes(seenBy) && canProbe(state, seenBy, pool)) return seenBy === state.node; // It is on the network of the host.
  const able = active.filter((node) => canProbe(state, node, pool));
  const reachability = new Map(able.map((node) => [node, knownReachability(state, node)]));
  const near = able.filter((node) => {
    const reported = reachability.get(node);
    if (reported === undefined || typeof reported === "string") return false;
    return subnetsFor({ interfaces: pool?.interfaces ?? [] }, reported).some((subnet) => subnet.contains(address));
  });
  // All have to come to the same answer: by subnets only where those of all are known.
  const areKnown = reachability.values().every((each) => typeof each !== "string");
  return isElected(state.node, areKnown && near.length > 0 ? near : able, address);
}

/** Whether the node has an interface for addresses of the pool. Without one its probes reach nobody, and that nobody answers them says nothing. */
function canProbe(state: SpeakerState, node: string, pool: Pool | undefined): boolean {
  if (state.members.withoutGossip.includes(node)) return false; // Its speaker is MetalLB's.
  const reachability = knownReachability(state, node);
  if (pool !== undefined) return hasInterface(pool, reachability);
  return typeof reachability === "string" || reachability.answers;
}

/** This node knows its own interfaces without a ring, too. */
function knownReachability(state: SpeakerState, node: string): KnownReachability {
  return node === state.node ? state.carriers.reachability : reachabilityOf(state, node);
}

/** An address that is to be announced from here is still watched. */
function endInspection({ conflicts }: SpeakerState, key: string, address: Address, effects: SpeakerEffect[]): void {
  conflicts.inspected.delete(key);
  if (!conflicts.defended.has(key)) effects.push({ type: "withdraw", address });
}

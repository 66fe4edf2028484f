import type { Millis } from "#pkg/clock";
import type { ConflictProbe } from "#pkg/config";
import type { AddressSighting } from "#pkg/layer2";
import type { Address } from "#pkg/net";
import { elect } from "#pkg/placement";
import type { SpeakerEffect } from "../effects.ts";
import { nodeOfMac, reportAnnounced } from "../members.ts";
import type { DefendedAddress, Layer2Announcement, SpeakerState } from "../state.ts";
import {
  type Beginning,
  conflictsOf,
  createDefense,
  type DefenseEffect,
  type DefenseEvent,
  nextDefenseAt,
  type OtherSpeaker,
  type Rival,
  stepDefense,
} from "./conflict-defense.ts";
import { reportBegan, reportEnded, reportOccupied, reportWanted } from "./conflict-reports.ts";
import { quarantine } from "./quarantine.ts";

// Announces what this node is to announce, and keeps one owner for each address on the wire: takes in sightings of other hosts, and lets one
// `ConflictDefense` for each address decide whether to announce, defend or yield.

export interface Conflict extends Rival {
  readonly address: Address;
}

const minProbeInterval: Millis = 1000;
// With thousands of addresses at other speakers while the ring is cut, each is probed less often.
const maxProbesPerSecond = 500;

const beginnings: Record<ConflictProbe, Beginning> = { off: "announce", report: "announceAndProbe", strict: "probeFirst" };

export function announceAddress(
  state: SpeakerState,
  address: Address,
  on: Layer2Announcement,
  now: Millis,
  effects: SpeakerEffect[],
): void {
  const { defended } = state.conflicts;
  const known = defended.get(address.toString());
  if (known !== undefined) {
    known.on = on;
    putOnWire(state, known, effects);
    return;
  }
  const entry: DefendedAddress = { address, on, defense: undefined, isAnnounced: false };
  defended.set(address.toString(), entry);
  begin(state, entry, on.isFirst ? beginnings[on.conflictProbe] : "announce", now, effects);
}

export function withdrawAddress(state: SpeakerState, address: Address, effects: SpeakerEffect[]): void {
  const { defended } = state.conflicts;
  const entry = defended.get(address.toString());
  if (entry === undefined) return;
  defended.delete(address.toString());
  drop(state, entry, effects);
  effects.push({ type: "withdraw", address });
  reportAnnounced(state, address);
}

/** Hosts may have learned another MAC address. An address that this node has yielded stays so. */
export function reannounceAddress({ conflicts }: SpeakerState, address: Address, effects: SpeakerEffect[]): void {
  if (conflicts.defended.get(address.toString())?.isAnnounced) effects.push({ type: "reannounce", address });
}

/** Another host uses, announces or probes an address that this node is to announce. */
export function defendSighted(state: SpeakerState, sighting: AddressSighting, now: Millis, effects: SpeakerEffect[]): void {
  const entry = state.conflicts.defended.get(sighting.address.toString());
  if (entry === undefined) return;
  advance(state, entry, { type: "sighting", sighting: { ...sighting, by: speakerOf(state, sighting) } }, now, effects);
}

/** These nodes are members again. */
export function nodesReturned(state: SpeakerState, nodes: readonly string[], now: Millis, effects: SpeakerEffect[]): void {
  const { defended, deadlines } = state.conflicts;
  for (const [key, entry] of defended) {
    if (!deadlines.has(key)) continue; // No rivals.
    for (const node of nodes) advance(state, entry, { type: "nodeReturned", node }, now, effects);
  }
}

/** Addresses entered or left quarantine. */
export function occupiedChanged(state: SpeakerState, now: Millis, effects: SpeakerEffect[]): void {
  const { defended, occupants } = state.conflicts;
  for (const [key, entry] of defended) {
    const isOccupied = occupants.has(key);
    if (isOccupied === (entry.defense === undefined)) continue;
    drop(state, entry, effects);
    begin(state, entry, "probeFirst", now, effects);
  }
}

export function defenseTimer(state: SpeakerState, now: Millis, effects: SpeakerEffect[]): void {
  const { defended, deadlines } = state.conflicts;
  for (let key = deadlines.takeDue(now); key !== undefined; key = deadlines.takeDue(now)) {
    const entry = defended.get(key);
    if (entry !== undefined) advance(state, entry, { type: "timer" }, now, effects);
  }
}

/** Conflicts that began and did not end. */
export function currentConflicts({ conflicts }: Pick<SpeakerState, "conflicts">): Conflict[] {
  return [...conflicts.defended.values()].flatMap(({ address, defense }) =>
    defense === undefined ? [] : conflictsOf(defense).map((rival) => ({ ...rival, address })),
  );
}

function begin(state: SpeakerState, entry: DefendedAddress, beginning: Beginning, now: Millis, effects: SpeakerEffect[]): void {
  if (state.conflicts.occupants.has(entry.address.toString())) {
    entry.isAnnounced = false;
    putOnWire(state, entry, effects);
    return;
  }
  entry.defense = createDefense(beginning, now);
  advance(state, entry, { type: "timer" }, now, effects);
}

function drop(state: SpeakerState, entry: DefendedAddress, effects: SpeakerEffect[]): void {
  const { address, defense } = entry;
  if (defense === undefined) return;
  for (const rival of conflictsOf(defense)) reportEnded(state, { ...rival, address }, effects);
  if (defense.stage === "yielded") state.conflicts.yielded--;
  state.conflicts.deadlines.set(address.toString(), Infinity);
  entry.defense = undefined;
}

function advance(state: SpeakerState, entry: DefendedAddress, event: DefenseEvent, now: Millis, effects: SpeakerEffect[]): void {
  const { conflicts } = state;
  const { address, defense } = entry;
  if (defense === undefined) return;
  const before = defense.stage;
  const probeEvery = Math.max(minProbeInterval, (conflicts.yielded / maxProbesPerSecond) * 1000);
  const its = stepDefense(defense, event, now, probeEvery);
  if (before === "yielded") conflicts.yielded--;
  if (defense.stage === "yielded") conflicts.yielded++;
  for (const effect of its) translate(state, entry, effect, effects);
  conflicts.deadlines.set(address.toString(), nextDefenseAt(defense));
}

function translate(state: SpeakerState, entry: DefendedAddress, effect: DefenseEffect, effects: SpeakerEffect[]): void {
  const { address } = entry;
  switch (effect.type) {
    case "announce":
      if (entry.isAnnounced) effects.push({ type: "reannounce", address });
      entry.isAnnounced = true;
      putOnWire(state, entry, effects);
      break;
    case "listen":
      entry.isAnnounced = false;
      putOnWire(state, entry, effects);
      break;
    case "defend":
      effects.push({ type: "defend", address });
      break;
    case "probe":
      effects.push({ ...effect, address });
      break;
    case "conflictBegan":
      reportBegan(state, { ...effect.rival, address }, effects);
      break;
    case "conflictEnded":
      reportEnded(state, { ...effect.rival, address }, effects);
      break;
    case "occupied":
      reportOccupied(state, { ...effect.rival, address }, effects);
      quarantine(state, { ...effect.rival, address }, effects);
      break;
    case "wanted":
      reportWanted({ ...effect.rival, address }, effects);
      break;
    default:
      effect satisfies never;
  }
}

function putOnWire(state: SpeakerState, entry: DefendedAddress, effects: SpeakerEffect[]): void {
  const { address, isAnnounced } = entry;
  effects.push({ type: isAnnounced ? "announce" : "listen", address, interfaces: entry.on.interfaces });
  reportAnnounced(state, address);
}

function speakerOf(
  { node: self, members, placements }: SpeakerState,
  { mac, address }: AddressSighting,
): OtherSpeaker | undefined {
  const node = nodeOfMac(members.macs, mac);
  if (node === undefined) return undefined;
  // Both speakers come to the same answer, whatever else they see of the cluster.
  const electionAddress = placements.get(address.toString())?.electionAddress ?? address;
  const preferred = elect([self, node], electionAddress) === node;
  return { node, active: members.active.includes(node), preferred };
}

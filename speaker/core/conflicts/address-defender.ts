import type { Millis } from "#pkg/clock";
import type { ConflictProbe } from "#pkg/config";
import type { AddressItem } from "#pkg/kernel";
import type { AddressSighting } from "#pkg/layer2";
import type { Address } from "#pkg/net";
import { elect } from "#pkg/placement";
import { maxOccupants } from "#pkg/quarantine";
import type { SpeakerEffect } from "../effects.ts";
import { askForNode } from "../members/followed-nodes.ts";
import { nodeOfMac, strangers } from "../members/members.ts";
import { isReady } from "../members/nodes.ts";
import { touchSlots } from "../placement/slots.ts";
import { reportAnnounced } from "../protocols/announcers.ts";
import { holderKeys } from "../services/services.ts";
import { ownedPlacement, type SpeakerState } from "../state.ts";
import { type DefenseEvent, stepDefense } from "./conflict-defense.ts";
import { reportBegan, reportEnded, reportOccupied, reportWanted } from "./conflict-reports.ts";
import type { DefendedAddress, Layer2Announcement } from "./conflict-state.ts";
import {
  type Beginning,
  conflictsOf,
  createDefense,
  type DefenseEffect,
  type DefenseStage,
  nextDefenseAt,
} from "./defense-state.ts";
import { answersForMany, noteHeldBack } from "./held-back.ts";
import { quarantine } from "./quarantine.ts";
import type { OtherSpeaker, Rival } from "./rivals.ts";

// Announces what this node is to announce, and keeps one owner for each address on the wire: takes in sightings of other hosts, and lets one
// `ConflictDefense` for each address decide whether to announce, defend or yield.

export interface Conflict extends Rival {
  readonly address: Address;
}

// This node asks another speaker that keeps an address for a proof this often, and less often for many addresses, because the ring is cut.
// In the end it answers again within 6 s after that speaker has stopped.
const minProbeInterval: Millis = 1_000;
const maxProbeInterval: Millis = 3_000;
const maxProbesPerSecond = 500;

// The longest time between a speaker's leave of the ring and its end.
const leavingMs: Millis = 3_000;

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
    known.on = on; // If the kernel item changes or goes, the placement tells the kernel so.
    putOnWire(state, known, effects);
    heedQuarantine(state, known, now, effects);
    if (on.conflictProbe !== "strict" && isKeptBack(known))
      advance(state, known, { type: "noLongerStrict", isProbed: on.conflictProbe === "report" }, now, effects);
    return;
  }
  const beginning = on.isFirst ? beginnings[on.conflictProbe] : "announce";
  const defense = createDefense(beginning, now, isQuarantined(state, address, on));
  const entry: DefendedAddress = { address, on, defense, isAnnounced: false, takenOver: undefined };
  defended.set(address.toString(), entry);
  advance(state, entry, { type: "timer" }, now, effects);
}

export function withdrawAddress(state: SpeakerState, address: Address, effects: SpeakerEffect[]): void {
  const { defended } = state.conflicts;
  const entry = defended.get(address.toString());
  if (entry === undefined) return;
  defended.delete(address.toString());
  drop(state, entry, effects);
  effects.push({ type: "withdraw", address });
  if (entry.on.item !== undefined) effects.push({ type: "setKernel", address, items: [] });
  reportAnnounced(state, address);
}

/** Hosts may have learned another MAC address. An address that this node has yielded stays so. */
export function reannounceAddress({ conflicts }: SpeakerState, address: Address, effects: SpeakerEffect[]): void {
  if (conflicts.defended.get(address.toString())?.isAnnounced) effects.push({ type: "reannounce", address });
}

/** Another host uses, announces or probes an address that this node is to announce. */
export function defendSighted(state: SpeakerState, sighting: AddressSighting, now: Millis, effects: SpeakerEffect[]): void {
  const entry = state.conflicts.defended.get(sighting.address.toString());
  if (entry === undefined || state.isLeaving) return;
  const node = nodeOfMac(state.members.macs, sighting.mac);
  if (hasJustLeft(state, node, now)) return;
  askForNode(state, node, now);
  const by = speakerOf(state, sighting, now);
  const isForMany = answersForMany(state, entry, sighting, now);
  advance(state, entry, { type: "sighting", sighting: { ...sighting, by, answersForMany: isForMany } }, now, effects);
}

/** It answers until its successors do, and goes on with announcements that it had begun. */
function hasJustLeft({ members }: SpeakerState, node: string | undefined, now: Millis): boolean {
  const missing = node === undefined ? undefined : members.missing.get(node);
  return missing?.cause === "left" && now < missing.since + leavingMs;
}

/** These nodes are members again. */
export function nodesReturned(state: SpeakerState, nodes: readonly string[], now: Millis, effects: SpeakerEffect[]): void {
  const { defended, deadlines } = state.conflicts;
  for (const [key, entry] of defended) {
    if (!deadlines.has(key)) continue; // No rivals.
    for (const node of nodes) {
      const macs = state.members.macs.macs.get(node) ?? [];
      advance(state, entry, { type: "nodeReturned", node, macs }, now, effects);
    }
  }
}

/** Addresses entered or left quarantine. */
export function occupiedChanged(state: SpeakerState, now: Millis, effects: SpeakerEffect[]): void {
  const { defended, occupants, written } = state.conflicts;
  for (const key of occupants.keys()) written.delete(key);
  for (const entry of defended.values()) heedQuarantine(state, entry, now, effects);
}

function heedQuarantine(state: SpeakerState, entry: DefendedAddress, now: Millis, effects: SpeakerEffect[]): void {
  const is = isQuarantined(state, entry.address, entry.on);
  if (is !== entry.defense.isQuarantined) advance(state, entry, { type: "quarantine", isQuarantined: is }, now, effects);
}

/** Whether an entry of `ingot-conflicts` counts. Other pools than strict ones announce an address whoever has it. */
function isQuarantined({ conflicts }: SpeakerState, address: Address, { conflictProbe }: Layer2Announcement): boolean {
  return conflictProbe === "strict" && conflicts.occupants.has(address.toString());
}

/** Whether a foreign host keeps it from being announced, or may do so. */
function isKeptBack({ isAnnounced, defense: { stage } }: DefendedAddress): boolean {
  return !isAnnounced && stage !== "yielded";
}

/** Other members than before may say that they announce these addresses. */
export function announcersChanged(
  state: SpeakerState,
  addresses: Iterable<Address>,
  now: Millis,
  effects: SpeakerEffect[],
): void {
  for (const address of addresses) {
    const entry = state.conflicts.defended.get(address.toString());
    if (entry?.defense.isAsked) advance(state, entry, { type: "announcers", nodes: announcers(state, address) }, now, effects);
  }
}

/** Where the ring is cut and the LAN is not, a node that has lost all others and the API reaches nobody by IP, as it seems. */
export function aloneChanged({ node, members, apiView, conflicts }: SpeakerState, effects: SpeakerEffect[]): void {
  const { active, lost } = members;
  const isAlone = lost.size > 0 && apiView.lostSince !== Infinity && active.every((other) => other === node);
  if (isAlone === conflicts.isAlone) return;
  conflicts.isAlone = isAlone;
  effects.push({ type: "setAlone", isAlone });
}

/** Members came, went or failed: the word of former members is void. */
export function askedMembersChanged(state: SpeakerState, now: Millis, effects: SpeakerEffect[]): void {
  announcersChanged(state, [...state.conflicts.asked.values()], now, effects);
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
    conflictsOf(defense).map((rival) => ({ ...rival, address })),
  );
}

function drop(state: SpeakerState, { address, defense }: DefendedAddress, effects: SpeakerEffect[]): void {
  const { conflicts } = state;
  for (const rival of conflictsOf(defense)) reportEnded(state, { ...rival, address }, effects);
  if (defense.stage === "yielded") conflicts.yielded--;
  if (defense.isAsked) ask(state, address, false);
  conflicts.deadlines.set(address.toString(), Infinity);
}

function advance(state: SpeakerState, entry: DefendedAddress, event: DefenseEvent, now: Millis, effects: SpeakerEffect[]): void {
  const { conflicts } = state;
  const { address, defense } = entry;
  const before = defense.stage;
  const wasAnnounced = entry.isAnnounced;
  const wanted = (conflicts.yielded / maxProbesPerSecond) * 1000;
  const probeEvery = Math.min(maxProbeInterval, Math.max(minProbeInterval, wanted));
  const its = stepDefense(defense, event, now, probeEvery);
  if (before === "yielded") conflicts.yielded--;
  if (defense.stage === "yielded") conflicts.yielded++;
  if ((defense.stage === "occupied") !== (before === "occupied")) touchSlots(state);
  for (const effect of its) translate(state, entry, effect, now, effects);
  if (entry.isAnnounced !== wasAnnounced)
    for (const key of holderKeys(state.services, address.toString())) state.agenda.services.add(key);
  conflicts.deadlines.set(address.toString(), nextDefenseAt(defense));
}

function translate(
  state: SpeakerState,
  entry: DefendedAddress,
  effect: DefenseEffect,
  now: Millis,
  effects: SpeakerEffect[],
): void {
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
    case "challenge":
      effects.push({ ...effect, address });
      break;
    case "ask":
    case "stopAsking":
      ask(state, address, effect.type === "ask");
      break;
    case "conflictBegan":
      reportBegan(state, { ...effect.rival, address }, now, effects);
      break;
    case "conflictEnded":
      reportEnded(state, { ...effect.rival, address }, effects);
      break;
    case "occupied":
      noteHeldBack(state, entry, now);
      reportOccupied(state, { ...effect.rival, address }, now, effects);
      if (!quarantine(state, { ...effect.rival, address }, effects)) effects.push(noRoomFor(address));
      break;
    case "stillOccupied":
      quarantine(state, { ...effect.rival, address }, effects);
      break;
    case "wanted":
      reportWanted({ ...effect.rival, address }, effects);
      break;
    default:
      effect satisfies never;
  }
}

function noRoomFor(address: Address): SpeakerEffect {
  const fields = { op: "writeConflicts", ip: address, maxEntries: maxOccupants };
  return { type: "log", level: "error", message: "address is quarantined on this node only: too many entries", fields };
}

/** Why this node does not answer for an address that it owns; undefined where it does, or is about to. */
export function whyHeldBack({ conflicts }: Pick<SpeakerState, "conflicts">, address: Address): DefenseStage | undefined {
  const entry = conflicts.defended.get(address.toString());
  return entry === undefined || entry.isAnnounced ? undefined : entry.defense.stage;
}

/** What this node's kernel is to have of an address that it owns. */
export function ownedItems({ conflicts }: SpeakerState, address: Address): readonly AddressItem[] {
  const entry = conflicts.defended.get(address.toString());
  return entry?.isAnnounced && entry.on.item !== undefined ? [entry.on.item] : [];
}

function putOnWire(state: SpeakerState, entry: DefendedAddress, effects: SpeakerEffect[]): void {
  const { address, isAnnounced } = entry;
  const { interfaces, item } = entry.on;
  if (item !== undefined) effects.push({ type: "setKernel", address, items: ownedItems(state, address) });
  if (isAnnounced) effects.push({ type: "announce", address, interfaces, kernelAnswers: item !== undefined });
  else effects.push({ type: "listen", address, interfaces });
  reportAnnounced(state, address);
}

function speakerOf(state: SpeakerState, { mac, address, kind }: AddressSighting, now: Millis): OtherSpeaker | undefined {
  const { node: self, members, conflicts } = state;
  const node = nodeOfMac(members.macs, mac);
  if (node !== undefined && members.foreign.has(node)) return undefined;
  if (node === undefined) {
    const defense = conflicts.defended.get(address.toString())?.defense;
    // Without a ring all others are strangers, of which none has had the address of a new Service.
    const isNew = members.gossip === undefined && (defense?.stage === "probing" || defense?.isQuarantined === true);
    if (isNew || (strangers(state).length === 0 && now >= members.strangersUntil)) return undefined;
    return { node, active: true, preferred: false, saysSo: false, mayBeCutOff: false };
  }
  const active = members.active.includes(node);
  // Both speakers have to come to the same answer. Members disagree because one has not yet seen what the other has, maybe which other
  // addresses the Service has: so by the address alone. Across a cut of the ring they had agreed before, and the owner stays who it was.
  const before = active ? undefined : ownedPlacement(state, address.toString());
  const isElected = elect([self, node], before?.electionAddress ?? address) === node;
  const preferred = active ? (seesMore(state, node) ?? isElected) : isPreferred(isElected, conflicts.isAlone, kind);
  const saysSo = announcers(state, address).includes(node);
  return { node, active, preferred, saysSo, mayBeCutOff: members.lost.has(node) && isReady(state, node) };
}

/**
 * Whether that member sees changes in the API and this one does not, or the other way round; undefined where both are alike, as both know, or the
 * other one does not go by that.
 */
function seesMore({ members: { gossip }, apiView }: SpeakerState, node: string): boolean | undefined {
  if (gossip?.summary(node)?.heedsViews !== true) return undefined;
  const isCurrent = gossip.view(node) === "current";
  return isCurrent === (apiView.view === "current") ? undefined : isCurrent;
}

/** Of two speakers that have lost one another, the one that is not alone is preferred, else the elected one. A proof says whether its sender is alone. */
function isPreferred(isElected: boolean, isSelfAlone: boolean, kind: AddressSighting["kind"]): boolean {
  if (kind !== "proves" && kind !== "provesAlone") return isElected || isSelfAlone;
  const isOtherAlone = kind === "provesAlone";
  return isOtherAlone === isSelfAlone ? isElected : isSelfAlone;
}

/** Active members that say over the ring that they announce the address, and do not know less than this one. */
function announcers(state: SpeakerState, address: Address): string[] {
  const { gossip, active } = state.members;
  const nodes = gossip?.announcers(address.toString()) ?? [];
  return nodes.filter((node) => node !== state.node && active.includes(node) && seesMore(state, node) !== false);
}

/** Asks over the ring who announces the address, or no longer. */
function ask({ members, conflicts }: SpeakerState, address: Address, isAsked: boolean): void {
  members.gossip?.ask(address, isAsked);
  if (isAsked) conflicts.asked.set(address.toString(), address);
  else conflicts.asked.delete(address.toString());
}

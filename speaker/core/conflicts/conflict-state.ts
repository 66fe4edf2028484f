import type { Millis } from "#pkg/clock";
import type { ConflictProbe } from "#pkg/config";
import { Deadlines } from "#pkg/core";
import type { AddressItem } from "#pkg/kernel";
import type { Address } from "#pkg/net";
import type { Occupant } from "#pkg/quarantine";
import type { LossCause, MeasuredEffect } from "../effects.ts";
import type { ConflictDefense } from "./defense-state.ts";

/** Other hosts that have addresses of pools. */
export interface Conflicts {
  readonly defended: Map<string, DefendedAddress>; // address that this node is to announce -> how it is
  readonly deadlines: Deadlines; // of their defenses, by address
  /** How many addresses this node leaves to other speakers. */
  yielded: number;
  /** This node has lost all other speakers and the API: it leaves its addresses to one that has not. */
  isAlone: boolean;
  /** Addresses that the members are asked about, because one of them may announce it too. */
  readonly asked: Map<string, Address>; // address as text -> address
  /** Entries that this node has written, until they are among the occupants. */
  readonly written: Map<string, string>; // address -> MAC address of its occupant
  /** Quarantined addresses. */
  occupants: ReadonlyMap<string, Occupant>; // address -> who has it
  /** The quarantine was read since this speaker started. */
  isQuarantineRead: boolean;
  /** Addresses that were kept from being announced lately, oldest first. */
  readonly heldBack: Map<string, HeldBack>; // address -> since when
  readonly inspected: Map<string, Inspection>; // address -> how far it is probed whether somebody still has it
  readonly reports: ConflictReports;
  /** When the next inspection of quarantined addresses begins; -Infinity while that is not set, which the first timer does. */
  inspectAt: Millis;
}

/** Logs and events about conflicts so far. */
export interface ConflictReports {
  /** How many more may be at `at`; not whole, because it grows with time. */
  left: number;
  at: Millis;
  /** It was said that there are more. */
  isExhausted: boolean;
  readonly began: Set<string>; // address and MAC address of those that were reported, and did not end
}

/** How an address that this node owns is to be announced. */
export interface Layer2Announcement {
  /** Globs for names of interfaces; none means all. */
  readonly interfaces: readonly string[];
  readonly conflictProbe: ConflictProbe;
  /** No node has announced it since a Service got it. */
  readonly isFirst: boolean;
  /** The kernel's entry while the address is announced, if the kernel answers; undefined if this speaker answers. */
  readonly item: AddressItem | undefined;
}

export interface DefendedAddress {
  readonly address: Address;
  on: Layer2Announcement;
  readonly defense: ConflictDefense;
  /** Otherwise this node only listens. */
  isAnnounced: boolean;
  /** How it came to this node the last time, where its owner before failed or left. */
  takenOver: Extract<MeasuredEffect, { readonly cause: LossCause }> | undefined;
}

export interface HeldBack {
  /** Its name; undefined without one. */
  readonly pool: string | undefined;
  readonly at: Millis;
}

export interface Inspection {
  readonly address: Address;
  probes: number;
  dueAt: Millis;
}

export function noConflicts(): Conflicts {
  return {
    defended: new Map(),
    deadlines: new Deadlines(),
    yielded: 0,
    isAlone: false,
    asked: new Map(),
    written: new Map(),
    occupants: new Map(),
    isQuarantineRead: false,
    heldBack: new Map(),
    inspected: new Map(),
    reports: { left: Infinity, at: 0, isExhausted: false, began: new Set() },
    inspectAt: -Infinity,
  };
}

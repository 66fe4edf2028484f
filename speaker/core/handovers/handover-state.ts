import type { Millis } from "#pkg/clock";
import type { Handover } from "#pkg/handover";
import type { Address } from "#pkg/net";

// A tenant, or a node that lies about its connections, cannot keep packets going over another node for longer.
export const maxMs: Millis = 600_000;

/** This node hands packets to the node that owned the address before. */
export interface CurrentHandover {
  readonly address: Address;
  /** The former owner. */
  from: string;
  /**
   * The node that a speaker which just began takes for the former owner, and nodes that are not because they served the address before: until that node
   * says that it serves it. Undefined where it is known.
   */
  guess: { readonly from: string; readonly not: readonly string[] } | undefined;
  readonly since: Millis;
  /** The former owner owned the address before this node did, or after it again: their packets are not to go to and fro. */
  isAgain: boolean;
  /** The node that served the address before the two, where packets go that the former owner hands to this node. */
  beyond: string | undefined;
  /** Nodes that had the address before, as this node knew when it began to own it. */
  readonly earlier: readonly string[];
  /** Others that served it right afterwards: they took themselves for the owner at the same time, and hand packets to the same former owner. */
  rivals: readonly string[];
  /**
   * The owner before this node, where it failed: its packets go to `from` too, from when it is back and has the address again. Where `isAgain`, they
   * go to `beyond`: what it passes on to this node may come from `from`.
   */
  readonly failed: string | undefined;
  /** Where it is to; undefined while the former owner cannot be reached on the link. */
  told: Handover | undefined;
  /** The nodes that owned the address in place of this one: the next where the one before failed. Empty while this node owns it. */
  successors: readonly string[];
  /** Until when clients may not have heard of the first successor; undefined afterwards, and without a successor. */
  lingersUntil: Millis | undefined;
  /** The former owner failed, as it seems, and packets wait for it until then; undefined where it lives. */
  returnsBy: Millis | undefined;
  /** Since when the former owner, which lives, reports no open connections; Infinity while it does. */
  idleSince: Millis;
}

/** Another node owns an address that this one may have open connections to. */
export interface ServedAddress {
  readonly address: Address;
  /** The number of connections; undefined until they have been counted. */
  flows: number | undefined;
  until: Millis;
}

/** The other node that owned an address last. */
export interface LastOwner {
  readonly node: string;
  /** At least. */
  readonly until: Millis;
  /** The owner before that one, and when the address moved between the two; undefined where it is not known, or was this node. */
  readonly before: { readonly node: string; readonly until: Millis } | undefined;
}

export interface Handovers {
  /** Address -> to whom this node hands packets. */
  readonly current: Map<string, CurrentHandover>;
  /** Address -> the connections that this node still serves. */
  readonly served: Map<string, ServedAddress>;
  /** Addresses to look at again: for thousands that takes several turns. */
  readonly agenda: Set<string>;
  /** Addresses that this node announces when their former owner says that it passes packets on, or at the latest then. */
  readonly awaited: Map<string, Millis>;
  /** Addresses that are served because an earlier process of this node passed packets on, as the kernel still does. */
  readonly inherited: Set<string>;
  /** Address -> where an earlier process of this node handed its packets until it ended, with no time to say so. */
  readonly unfinished: Map<string, string>;
  /** By address. */
  readonly lastOwners: Map<string, LastOwner>;
  /** Whether a pool of the configuration keeps connections. */
  isWanted: boolean;
  /** Why this node cannot hand over; by family. */
  failures: ReadonlyMap<string, string>;
  /** Something happened to members that was not looked at yet. */
  areMembersOther: boolean;
  /** MAC addresses of all other speakers, as they were told last. */
  speakers: string;
  /** When this process first saw a pool that keeps connections. */
  begunAt: Millis;
  /** When the next one ends, or may. */
  dueAt: Millis;
}

export function noHandovers(): Handovers {
  return {
    current: new Map(),
    served: new Map(),
    agenda: new Set(),
    awaited: new Map(),
    inherited: new Set(),
    unfinished: new Map(),
    lastOwners: new Map(),
    isWanted: false,
    failures: new Map(),
    areMembersOther: false,
    speakers: "",
    begunAt: Infinity,
    dueAt: Infinity,
  };
}

/** Something happened to a member, and at once to thousands, maybe: they are looked at together. */
export function memberOfHandovers(handovers: Handovers, now: Millis): void {
  if (!handovers.isWanted && handovers.current.size === 0) return;
  handovers.areMembersOther = true;
  handovers.dueAt = Math.min(handovers.dueAt, now);
}

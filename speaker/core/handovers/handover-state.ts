import type { Millis } from "#pkg/clock";
import type { Handover } from "#pkg/handover";
import type { Address } from "#pkg/net";

/** This node hands packets to the node that owned the address before. */
export interface CurrentHandover {
  readonly address: Address;
  /** The former owner. */
  readonly from: string;
  readonly since: Millis;
  /** Where it is to; undefined while the former owner cannot be reached on the link. */
  told: Handover | undefined;
  /** The node that owns the address in place of this one; undefined while this node does. */
  successor: string | undefined;
  /** Until when clients may not have heard of the successor; undefined afterwards, and while there is none. */
  lingersUntil: Millis | undefined;
  /** Since when the former owner, which lives, reports no open connections; Infinity while it does. */
  idleSince: Millis;
}

/** Another node owns an address that this one may have open connections to. */
export interface ServedAddress {
  readonly address: Address;
  /** The number of connections; undefined until they have been counted. */
  flows: number | undefined;
  readonly until: Millis;
}

export interface Handovers {
  /** Address -> to whom this node hands packets. */
  readonly current: Map<string, CurrentHandover>;
  /** Address -> the connections that this node still serves. */
  readonly served: Map<string, ServedAddress>;
  /** Address -> the other node that owned it last. */
  readonly lastOwners: Map<string, string>;
  /** Whether a pool of the configuration keeps connections. */
  isWanted: boolean;
  /** Why this node cannot hand over; by family. */
  failures: ReadonlyMap<string, string>;
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
    lastOwners: new Map(),
    isWanted: false,
    failures: new Map(),
    speakers: "",
    begunAt: Infinity,
    dueAt: Infinity,
  };
}

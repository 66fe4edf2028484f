import type { Millis } from "#pkg/clock";
import type { Address } from "#pkg/net";

export const firstRepeatMs: Millis = 500;

/** What `StickyOwners` knows of one address. */
export interface Unit {
  readonly address: Address;
  readonly key: string;
  /** Text of the address that it goes with. */
  first: string;
  /** Candidates that participate. */
  candidates: readonly string[];
  /** Participating candidates that the pool prefers most. */
  preferred: readonly string[];
  /** There are others, which do not participate yet. */
  awaitsMore: boolean;
  /** All nodes that own it. */
  owners: readonly string[];
  /** The owner that keeps it; undefined while no candidate owns it. */
  keeper: string | undefined;
  /** The keeper; without one the node that is expected to become it, or this one where it has given the address away. */
  announcer: string | undefined;
  /** This node owned it, and announces it until another node owns it. */
  isGivenAway: boolean;
  /** Set where this node is to take it, which it does when it is placed next: the node that was chosen for it. */
  claimFor: string | undefined;
  /** Since when there is no keeper. */
  openSince: Millis;
  /**
   * Since when this node keeps it while another one, which may have it too, keeps the address that it goes with, or is preferred to this
   * one.
   */
  apartSince: Millis;
  /** A candidate has owned it since it was placed here. */
  wasKept: boolean;
  /** This node keeps it, and others have not released it. */
  isContested: boolean;
  /** The node that this one took it instead of, or released it to. Either may not know yet what the other did. */
  counterpart: string | undefined;
  /** Until when the two compare what they know. */
  compareUntil: Millis;
  /** When it is reported once more whether this node owns it, for others that may not know. */
  repeatAt: Millis;
  repeatMs: Millis;
}

export function newUnit(address: Address, key: string): Unit {
  return {
    address,
    key,
    first: key,
    candidates: [],
    preferred: [],
    awaitsMore: false,
    owners: [],
    keeper: undefined,
    announcer: undefined,
    isGivenAway: false,
    claimFor: undefined,
    openSince: Infinity,
    apartSince: Infinity,
    wasKept: false,
    isContested: false,
    counterpart: undefined,
    compareUntil: -Infinity,
    repeatAt: Infinity,
    repeatMs: firstRepeatMs,
  };
}

/** Whether it goes with another address. */
export function isFollower({ key, first }: Unit): boolean {
  return key !== first;
}

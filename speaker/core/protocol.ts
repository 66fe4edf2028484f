import type { Millis } from "#pkg/clock";
import type { Pool } from "#pkg/config";
import type { Address } from "#pkg/net";
import type { AddressPlacement, Holder } from "#pkg/placement";
import type { SpeakerEffect } from "./effects.ts";
import type { SpeakerState } from "./state.ts";

/** One address that is being placed. */
export interface Placing {
  readonly address: Address;
  /** The Services with the address in their status. */
  readonly holders: readonly Holder[];
  /** The address's; undefined where it is in none. */
  readonly pool: Pool | undefined;
  readonly before: AddressPlacement | undefined;
}

/**
 * One way of announcing addresses. The loop in `placements.ts` knows protocols by this alone: for each address it asks the protocol of
 * its pool where it is announced, then lets every protocol put in effect what that means for it.
 */
export interface Protocol {
  /** Of all nodes one announces an address, its owner. Otherwise each node announces by itself. */
  readonly hasOwner: boolean;
  place(state: SpeakerState, placing: Placing, now: Millis): AddressPlacement;
  /** Announces, or withdraws, what is different now. `placed` may be another protocol's, which has the address from now on. */
  apply(state: SpeakerState, placing: Placing, placed: AddressPlacement, now: Millis, effects: SpeakerEffect[]): void;
  /** Whether this node announces the address. */
  isAnnounced(state: SpeakerState, placement: AddressPlacement): boolean;
  /** All is placed, for the time being. @returns addresses to place again because of that */
  settle(state: SpeakerState, now: Millis): readonly Address[];
  /** Some addresses have been placed. `complete`: all that is known. */
  flush(complete: boolean, effects: SpeakerEffect[]): void;
}

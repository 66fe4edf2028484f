import type { Millis } from "#pkg/clock";
import type { Pool } from "#pkg/config";
import type { Address } from "#pkg/net";
import type { AddressPlacement, Holder } from "#pkg/placement";
import type { SpeakerEffect } from "../effects.ts";
import type { SpeakerState } from "../state.ts";

/** One address that is being placed. */
export interface Placing {
  readonly address: Address;
  /** The Services with the address in their status. */
  readonly holders: readonly Holder[];
  readonly pool: Pool;
  /** Where it was placed by the same protocol; undefined where it was not. */
  readonly before: AddressPlacement | undefined;
}

/** The former and the present placement of an address by one protocol; or its former and present owner, with any protocol. */
export interface PlacementChange {
  readonly address: Address;
  /** The address's; undefined where it is in none. */
  readonly pool: Pool | undefined;
  /** Whether any Service has the address. */
  readonly isHeld: boolean;
  /** Each undefined where this protocol does not announce the address's pool. */
  readonly before: AddressPlacement | undefined;
  readonly placed: AddressPlacement | undefined;
}

/**
 * One way of announcing addresses. The loop in `placement/placements.ts` knows protocols by this alone: for each address it asks the protocols of
 * its pool where it is announced, then lets every protocol put in effect what that means for it.
 */
export interface Protocol {
  place(state: SpeakerState, placing: Placing, now: Millis): AddressPlacement;
  /** Announces, or withdraws, what is different now; but for an owner, which the loop does for all protocols. */
  apply(state: SpeakerState, change: PlacementChange, now: Millis, effects: SpeakerEffect[]): void;
  /** Whether this node announces the address. */
  isAnnounced(state: SpeakerState, placement: AddressPlacement): boolean;
  /** All is placed, for the time being. @returns addresses to place again because of that */
  settle(state: SpeakerState, now: Millis): readonly Address[];
  /** Some addresses have been placed. `complete`: all that is known. */
  flush(complete: boolean, effects: SpeakerEffect[]): void;
}

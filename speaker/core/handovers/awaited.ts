import type { Address } from "#pkg/net";
import type { SpeakerState } from "../state.ts";

// Addresses that this node owns and does not announce yet: the former owner is to know first that it passes packets on.

export function isAwaited({ handovers }: SpeakerState, address: Address): boolean {
  return handovers.awaited.has(address.toString());
}

/** Ends the wait where there is one. */
export function announceNow({ handovers, agenda }: SpeakerState, key: string, address: Address): void {
  if (handovers.awaited.delete(key)) agenda.addresses.set(key, address);
}

import type { Clock } from "#pkg/clock";
import type { Keyring, Nonces } from "./codec/keyring.ts";
import type { MemberlistError } from "./codec/memberlist-error.ts";
import type { NetworkCounters } from "./counters.ts";
import type { Event } from "./ring/events.ts";
import type { RingLog } from "./ring-log.ts";
import type { SocketAddress } from "./transport.ts";

/** State that the parts of a member between its sockets and its ring share. */
export interface MemberParts {
  readonly keyring: Keyring;
  readonly nonces: Nonces;
  readonly clock: Clock;
  readonly counters: NetworkCounters;
  readonly log: Pick<RingLog, "refused" | "notSent" | "flooded" | "evicted">;
  /** Takes an event into the ring. */
  readonly push: (event: Event) => void;
}

/** Something arrived and could not be understood. */
export function refuse(
  { counters, log }: MemberParts,
  { address }: SocketAddress,
  transport: "UDP" | "TCP",
  error: MemberlistError,
): void {
  counters.problems[error.reason]++;
  log.refused(address, transport, error);
}

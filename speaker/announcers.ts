import type { Address } from "#pkg/net";
import type { BgpRoute } from "#pkg/placement";
import type { GuardedAnnouncement } from "./conflicts/guard.ts";

/** What puts addresses on the wire. Both calls may be repeated; the last one counts. */
export interface Announcer {
  announce(address: Address, on: GuardedAnnouncement): void;
  withdraw(address: Address): void;
  /** Others may have announced it too: tells everyone once more. */
  announceAgain(address: Address): void;
}

/** What tells routers. The last call for an address counts. */
export interface RouteAnnouncer {
  setRoutes(address: Address, routes: readonly BgpRoute[]): void;
  /** What was set can be told now. `complete`: all that is known has been placed. */
  flush(complete: boolean): void;
}

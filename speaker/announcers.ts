import type { Address } from "#pkg/net";
import type { BgpRoute } from "#pkg/placement";
import type { DefendedAnnouncement } from "./conflicts/address-defender.ts";

/** What puts addresses on the wire. Both calls may be repeated; the last one counts. */
export interface Announcer {
  announce(address: Address, on: DefendedAnnouncement): void;
  withdraw(address: Address): void;
  /** Others may have announced it too: tells everyone once more. */
  reannounce(address: Address): void;
}

/** What tells routers. The last call for an address counts. */
export interface RouteAnnouncer {
  setRoutes(address: Address, routes: readonly BgpRoute[]): void;
  /** What was set can be told now. `complete`: all that is known has been placed. */
  flush(complete: boolean): void;
}

import type { Pool } from "#pkg/config";
import type { Address, Family, Prefix } from "#pkg/net";
import type { Route } from "./route-codec.ts";

/** All that findings follow from, at one moment. */
export interface Facts {
  /** This node's name. */
  readonly node: string;
  /** Every interface. That of kube-proxy is without addresses here: they may be thousands, and it is known what they are. */
  readonly interfaces: readonly Interface[];
  /** The main table, which does not have the subnets of interfaces in a VRF. */
  readonly routes: readonly Route[];
  /** Those of protocol layer2 in the configuration in force. */
  readonly pools: readonly Pick<Pool, "name" | "ranges" | "interfaces">[];
  /** What this node announces by layer 2. */
  readonly announced: readonly Announced[];
  /** A Service by family, where the kernel does not forward that family although one is announced that has endpoints on other nodes. */
  readonly notForwarded: Readonly<Partial<Record<Family, string>>>;
}

export interface Announced {
  readonly address: Address;
  readonly pool: string;
}

export interface Interface {
  readonly name: string;
  /** Requests for announced addresses are answered on it, or are to be. Never that of kube-proxy. */
  readonly eligible: boolean;
  readonly addresses: readonly InterfaceAddress[];
  /** Undefined where nothing depends on them: on one that is not eligible or has no IPv4 address, as the host's end of a Pod's link. */
  readonly settings: Settings | undefined;
}

export interface InterfaceAddress {
  readonly address: Address;
  /** The subnet it is in; of the address alone where that is all it says. */
  readonly prefix: Prefix;
}

/** As they are in effect: the larger one of the interface's own and that of `all`, but for `disableIpv6`, which is its own. */
export interface Settings {
  readonly rpFilter: number;
  readonly arpIgnore: number;
  readonly arpAnnounce: number;
  readonly disableIpv6: number;
}

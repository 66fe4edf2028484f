import type { Pool } from "#pkg/config";
import type { Address, Family, Prefix } from "#pkg/net";
import type { KubeProxyConfiguration } from "./node-files.ts";
import type { Route } from "./route-codec.ts";

/** Everything that findings follow from, at one moment. */
export interface Facts {
  /** This node's name. */
  readonly node: string;
  /** Every interface. kube-proxy's interface is without its addresses here, which may be thousands and are all of Services. */
  readonly interfaces: readonly Interface[];
  /** The main table, which does not have the subnets of interfaces in a VRF. */
  readonly routes: readonly Route[];
  /** Networks of this node's Pods. */
  readonly podNetworks: readonly Prefix[];
  /** Pools of protocol layer2 in the configuration in force. */
  readonly pools: readonly Pick<Pool, "name" | "ranges" | "interfaces">[];
  /** What this node announces by layer 2. */
  readonly announced: readonly Announced[];
  /** A Service by family, where the kernel does not forward that family although one is announced that has endpoints on other nodes. */
  readonly notForwarded: Readonly<Partial<Record<Family, string>>>;
  /** The NIC that leads to clients, and whose own setting has the kernel forward none of its packets. */
  readonly notForwarding: string | undefined;
  readonly kernel: KernelFacts;
  /** The process has the capability to have threads in real time, and the kernel refuses it nevertheless. */
  readonly isRealTimeRefused: boolean;
  /** How many processors the speaker's threads may take together on average; undefined without a limit. */
  readonly cpuLimit: number | undefined;
}

/** Facts about pools of protocol interface. */
export interface KernelFacts {
  readonly pools: readonly KernelPool[];
  /** Addresses of such pools that the speaker has put on interfaces of this node. */
  readonly placed: ReadonlySet<string>;
  /** Interfaces on which addresses and routes of such pools are kept. */
  readonly interfaces: readonly KeptInterface[];
  /** The configuration that kube-proxy reports; undefined without an answer. */
  readonly kubeProxy: KubeProxyConfiguration | undefined;
  /** Where flannel has the other nodes send what is for Pods of this one. */
  readonly flannelAddresses: readonly Address[];
}

export type KernelPool = Pick<Pool, "name" | "ranges" | "kernel">;

/** Addresses and routes kept on an interface. */
export interface Kept {
  readonly name: string;
  /** It stands for no NIC, and is made where it is absent. */
  readonly isDummy: boolean;
  /** An IPv4 address on it has a subnet of more than the address. */
  readonly hasSubnets: boolean;
  /** How often something was put back on it. */
  readonly restored: number;
}

export interface KeptInterface extends Kept {
  /** promote_secondaries in effect: 0 or 1; undefined where it cannot be read. */
  readonly promoteSecondaries: number | undefined;
  readonly disableIpv6: number;
  readonly manager: Manager | undefined;
}

/** The program that configures an interface, according to its files under /run. */
export type Manager = "systemd-networkd" | "NetworkManager";

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

/**
 * Settings in effect: the larger value of the interface's own and that of `all`, except for `disableIpv6`, which is the interface's
 * own.
 */
export interface Settings {
  readonly rpFilter: number;
  readonly arpIgnore: number;
  readonly arpAnnounce: number;
  readonly disableIpv6: number;
}

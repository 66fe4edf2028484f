import type { InterfaceAddress, NetworkInterface, TrackedInterface } from "#pkg/linux";
import { isLinkLocal, type Mac, Prefix, parseMac } from "#pkg/net";

const ethernet = 1; // ARPHRD_ETHER
// RFC 9568, section 7.3: 00-00-5E-00-01-{VRID} for IPv4, 00-00-5E-00-02-{VRID} for IPv6.
const virtualRouters: readonly Mac[] = [0x00_00_5e_00_01, 0x00_00_5e_00_02];

/**
 * Why an interface does not answer. `virtualRouter`: its MAC address is one of VRRP, which several nodes have; `enslaved`: a bridge, bond or team
 * speaks for it.
 */
export type IneligibleReason = "loopback" | "notEthernet" | "virtualRouter" | "noArp" | "noBroadcast" | "enslaved" | "down";

/** `answering`: also where nothing is announced yet; `failing`: it cannot answer, and is tried again; otherwise why it must not. */
export type InterfaceStatus = "answering" | "failing" | IneligibleReason;

/** An interface of this node. */
export interface InterfaceState {
  readonly index: number;
  readonly name: string;
  /** Hexadecimal bytes with colons between. */
  readonly mac: string;
  readonly status: InterfaceStatus;
  /** Why it is failing. */
  readonly error?: string;
  /** It has a carrier and is operational (RFC 2863). Without a carrier it answers as soon as it has one. */
  readonly running: boolean;
  /** `address/length` as text, IPv4 first. */
  readonly addresses: readonly string[];
  /**
   * The IPv6 addresses among these that nothing new is to be sent from, and that may become fit later: temporary, deprecated, or not yet
   * checked for duplicates.
   */
  readonly unfit?: readonly string[];
  /** See `canBeAsked`: it leads to a Pod, and nobody asks there. */
  readonly leadsToPod?: true;
}

// IFA_F_TEMPORARY, IFA_F_DADFAILED, IFA_F_DEPRECATED, IFA_F_TENTATIVE
const unfitFlags = 0x01 | 0x08 | 0x20 | 0x40;
const permanentFlag = 0x80; // IFA_F_PERMANENT

/**
 * Whether addresses are announced on an interface. A missing carrier is no reason against it: it may come at any moment. Nor is a VRF,
 * which is a routing table and leaves the interface its frames; every other master takes them. With `use_vmac` keepalived makes an interface that is up
 * on all nodes of a virtual router, with one MAC address: a node's frames from there would draw the virtual router's traffic to that node.
 */
export function eligibility(one: NetworkInterface): "eligible" | IneligibleReason {
  if (one.loopback) return "loopback";
  const mac = one.hardwareType === ethernet ? parseMac(one.hardwareAddress) : undefined;
  if (mac === undefined) return "notEthernet";
  if (isVirtualRouter(mac)) return "virtualRouter";
  if (one.noArp) return "noArp";
  if (!one.broadcast) return "noBroadcast";
  if (one.master !== undefined && one.masterKind !== "vrf") return "enslaved";
  return one.up ? "eligible" : "down";
}

/** Whether several nodes have this MAC address, one of which speaks with it. */
export function isVirtualRouter(mac: Mac): boolean {
  return virtualRouters.includes(Math.floor(mac / 2 ** 8));
}

/** One end of a pair, the other one of which is in a Pod as a rule: netkit is what Cilium may have in the place of veth. */
const isPaired = (kind: string | undefined): boolean => kind === "veth" || kind === "netkit";

/**
 * Whether a LAN with other hosts can be behind an interface. One end of a pair without an address in a subnet leads to a Pod (Calico's
 * `cali*` and the like): announcements go nowhere, and a node may have hundreds of them.
 */
export function canReachHosts({ kind, addresses }: Pick<TrackedInterface, "kind" | "addresses">): boolean {
  return !isPaired(kind) || addresses.some(({ address, prefixLength }) => prefixLength < address.bits && !isLinkLocal(address));
}

/** Whether somebody may ask on an interface: a node that is a container itself may have its only address, without a subnet, on a veth. */
export function canBeAsked({ kind, addresses }: TrackedInterface): boolean {
  return !isPaired(kind) || addresses.some(({ address }) => !isLinkLocal(address));
}

/**
 * The subnets whose hosts an interface reaches now. Those of IPv6 addresses that router advertisements gave do not count: any host of the LAN
 * could let them come and go, and have all addresses announced each time.
 */
export function reachedSubnets(one: TrackedInterface): ReadonlySet<string> {
  if (eligibility(one) !== "eligible" || !one.running || !canReachHosts(one)) return new Set();
  const isSubnet = ({ address, prefixLength, flags }: InterfaceAddress): boolean =>
    prefixLength < address.bits && !isLinkLocal(address) && (address.family === "IPv4" || (flags & permanentFlag) !== 0);
  return new Set(one.addresses.filter(isSubnet).map(({ address, prefixLength }) => `${new Prefix(address, prefixLength)}`));
}

/** An interface with this status; `error` says why it is failing. */
export function interfaceState(one: TrackedInterface, status: InterfaceStatus, error?: Error): InterfaceState {
  const text = ({ address, prefixLength }: InterfaceAddress): string => `${address}/${prefixLength}`;
  const unfit = one.addresses.filter(({ address, flags }) => address.family === "IPv6" && (flags & unfitFlags) !== 0);
  return {
    index: one.index,
    name: one.name,
    mac: one.hardwareAddress,
    status,
    ...(error && { error: error.message }),
    running: one.running,
    addresses: one.addresses.map(text),
    ...(unfit.length > 0 && { unfit: unfit.map(text) }),
    ...(!canBeAsked(one) && { leadsToPod: true }),
  };
}

/** The interfaces while nothing is announced on them, by index. @param refused why none of them can answer */
export function idleStates(interfaces: readonly TrackedInterface[], refused?: Error): InterfaceState[] {
  const stateOf = (one: TrackedInterface): InterfaceState => {
    const verdict = eligibility(one);
    if (verdict !== "eligible") return interfaceState(one, verdict);
    return refused === undefined ? interfaceState(one, "answering") : interfaceState(one, "failing", refused);
  };
  return [...interfaces].sort((a, b) => a.index - b.index).map(stateOf);
}

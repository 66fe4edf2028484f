import type { Address, Family, Prefix } from "#pkg/net";
import { list } from "#pkg/text";
import { causes, sentence, type Verdict, verdict } from "#pkg/verdict";
import type { Manager } from "./facts.ts";

/** The facts of a finding of each check. */
interface FindingFacts {
  /** The kernel drops packets of clients, inside or beyond a subnet of the interface, because its route to them leaves by another one. */
  readonly rpFilter: {
    readonly interface: string;
    readonly subnet: Prefix;
    readonly clients: "inside" | "beyond";
    readonly leavesBy: string;
  };
  /** The kernel answers ARP on `interfaces`, or asks in the name of, addresses that `holder` has for local use only. */
  readonly strictArp: {
    readonly holder: string;
    readonly setting: "arp_ignore" | "arp_announce";
    readonly wanted: number;
    readonly interfaces: readonly { readonly name: string; readonly value: number }[]; // Never empty; values are those in effect.
  };
  /** The kernel answers for an address of a pool by itself, also while another node announces it. */
  readonly addressBound: {
    readonly interface: string;
    readonly address: Address;
    readonly prefixLength: number;
    readonly pool: string;
  };
  /** A Pod of this node may have an address of the pool. */
  readonly podNetwork: { readonly node: string; readonly pool: string; readonly network: Prefix };
  /** Packets to endpoints on other nodes are dropped; `service` is one of the Services that have some. */
  readonly forwardingOff: {
    readonly family: Family;
    readonly service: string;
    readonly interface?: string; // Where the setting of this interface does it.
  };
  /** The kernel drops all IPv6 packets on an interface that leads to clients, while `pool` has IPv6 addresses. */
  readonly ipv6Disabled: { readonly interface: string; readonly pool: string };
  /** Addresses of one pool are announced to hosts that have no reason to ask for them. */
  readonly outsideSubnets: {
    readonly node: string;
    readonly pool: string;
    readonly addresses: readonly Address[]; // Lowest first; never empty.
    readonly subnets: readonly Prefix[]; // Subnets of the families of `addresses`.
  };
  /** Addresses of one pool are announced to nobody: none of the interfaces that can has a name that the pool asks for. */
  readonly noInterface: {
    readonly node: string;
    readonly pool: string;
    readonly wanted: readonly string[]; // Globs; never empty.
    readonly interfaces: readonly string[]; // Interfaces that can.
  };
  /** NodePorts of other Services answer at addresses of `pool`, because they are addresses of the node. */
  readonly nodePorts: {
    readonly pool: string;
    readonly interface: string;
    readonly nodePortAddresses: readonly string[]; // Addresses in kube-proxy's configuration; empty for the default.
  };
  /** A program that removes foreign settings manages an interface on which addresses or routes are kept. */
  readonly interfaceManaged: { readonly interface: string; readonly manager: Manager; readonly isDummy: boolean };
  /** With the first address of a subnet on the interface the others of the subnet go. */
  readonly promoteSecondaries: { readonly interface: string };
  /** flannel takes an address of a Service for this node's own, and the other nodes send it what is for Pods of this node. */
  readonly flannelAddress: { readonly address: Address; readonly pool: string };
  /** Threads of the speaker that keep time are not real-time on this node. */
  readonly realTimeRefused: unknown;
  /** The speaker's threads may take less than one processor together. */
  readonly cpuLimited: { readonly processors: number };
}

type CheckName = keyof FindingFacts;

/** A finding of one check. */
export type FindingOf<Check extends CheckName> = { readonly check: Check } & FindingFacts[Check];

/** Something to be warned of. */
export type Finding = { readonly [Check in CheckName]: FindingOf<Check> }[CheckName];

/** `message`: the trouble, its place and its consequence; `next`: the remedy. */
type Words = Pick<Verdict, "message" | "next">;

interface Check<Found> {
  /** Tells the trouble from others that the check finds, while numbers and examples in the finding change. */
  readonly identity: (finding: Found) => string;
  readonly words: (finding: Found) => Words;
  /** See the function of this name; nothing for certain where it is absent. */
  readonly sufferers?: (finding: Found) => string;
  /** Where it was found, where that is not the kernel. */
  readonly source?: string;
}

const ofInterface = ({ interface: name }: { readonly interface: string }) => name;
const ofPool = ({ pool }: { readonly pool: string }) => pool;

const maxSufferers = 8;
const prefixOf = (address: Address): string => `${address}/${address.bits}`;

/** Every check there is, in the order in which findings are listed. */
const checks: { readonly [Name in CheckName]: Check<FindingOf<Name>> } = {
  rpFilter: { identity: ofInterface, words: describeRpFilter, sufferers: ({ subnet }) => `${subnet}` },
  strictArp: {
    identity: ({ holder, setting }) => `${holder} ${setting}`,
    words: describeStrictArp,
    sufferers: () => "0.0.0.0/0",
  },
  addressBound: {
    identity: ({ interface: name, address }) => `${name} ${address}`,
    words: ({ address, prefixLength, pool, interface: name }) => ({
      message: `${address} of pool ${pool} is bound to ${name}: the kernel answers for it whichever node announces it`,
      next: `ip addr del ${address}/${prefixLength} dev ${name}, or take the address out of the pool`,
    }),
    sufferers: ({ address }) => prefixOf(address),
  },
  podNetwork: {
    identity: ({ pool, network }) => `${pool} ${network}`,
    words: ({ node, pool, network }) => ({
      message: `pool ${pool} has addresses of ${network}, the network of the Pods on ${node}: a Pod may have one of them, too`,
      next: causes.node.podNetwork.next,
    }),
    sufferers: ({ network }) => `${network}`,
    source: "spec.podCIDRs of the Node",
  },
  forwardingOff: {
    identity: ({ family }) => family,
    words: describeForwarding,
    sufferers: ({ family }) => `forwarded ${family}`,
  },
  ipv6Disabled: {
    identity: ofInterface,
    words: ({ interface: name, pool }) => ({
      message: `IPv6 is off on ${name}, and pool ${pool} has IPv6 addresses: packets for them are dropped`,
      next: `sysctl -w ${setting("ipv6", name, "disable_ipv6", 0)}`,
    }),
    sufferers: () => "::/0",
  },
  outsideSubnets: {
    identity: ofPool,
    words: describeOutside,
    sufferers: ({ addresses }) => addresses.slice(0, maxSufferers).map(prefixOf).join(" "),
  },
  noInterface: {
    identity: ofPool,
    words: ({ node, pool, wanted, interfaces }) => ({
      message:
        `the interfaces of pool ${pool} (${list(wanted)}) match none of ${node} that can announce (${list(interfaces) || "it has none"}): ` +
        "its addresses are not announced",
      next: causes.node.noInterface.next,
    }),
  },
  nodePorts: { identity: ofPool, words: describeNodePorts, source: "kube-proxy" },
  interfaceManaged: { identity: ofInterface, words: describeManager, source: "/run of the node" },
  promoteSecondaries: {
    identity: ofInterface,
    words: ({ interface: name }) => ({
      message:
        `promote_secondaries is 0 on ${name}: when the first address of a subnet goes, ` +
        "the kernel removes the subnet's other addresses with it, and they are missing until they are put back",
      next: `sysctl -w ${setting("ipv4", name, "promote_secondaries", 1)}`,
    }),
  },
  flannelAddress: {
    identity: ({ address }) => `${address}`,
    words: ({ address, pool }) => ({
      message:
        `flannel takes ${address} of pool ${pool} for this node's own address: ` +
        "other nodes send packets for its Pods there, wherever the address is",
      next: causes.node.flannelAddress.next,
    }),
    sufferers: ({ address }) => prefixOf(address),
    source: "annotations of the Node",
  },
  realTimeRefused: {
    identity: () => "",
    words: () => ({
      message:
        "the kernel gives threads of the speaker no real time, although it has the capability SYS_NICE: " +
        "on a busy node ARP, BFD and the ring may be late, at nice -20",
      next: causes.node.realTimeRefused.next,
    }),
  },
  cpuLimited: {
    identity: () => "",
    words: ({ processors }) => ({
      message:
        `the speaker has a CPU limit of ${Math.round(processors * 1000)}m: for up to 0.1 s at a time its threads are not run, ` +
        "so that it starts late, and others may take the node for failed",
      next: causes.node.cpuLimited.next,
    }),
  },
};

export const checkNames = Object.keys(checks) as readonly CheckName[];

function checkOf({ check }: Finding): Check<Finding> {
  return checks[check] as Check<Finding>;
}

/** Identifies the trouble. */
export function identity(finding: Finding): string {
  return `${finding.check} ${checkOf(finding).identity(finding)}`.trimEnd();
}

/**
 * The traffic that suffers from it: prefixes of addresses with spaces between them, or packets of a family that the node passes on to others. Empty where no
 * traffic suffers for certain.
 */
export function sufferers(finding: Finding): string {
  return checkOf(finding).sufferers?.(finding) ?? "";
}

/** One line for an operator: the trouble and its place, the consequence, and the remedy. */
export function describe(finding: Finding): string {
  return sentence(findingVerdict(finding));
}

export function findingVerdict(finding: Finding): Verdict {
  const { source = "kernel of the node", words } = checkOf(finding);
  const evidence = Object.entries(finding)
    .filter(([name]) => name !== "check" && name !== "isDummy")
    .map(([name, value]) => ({ name, value: factText(value), source }));
  return verdict("node", finding.check, { ...words(finding), evidence });
}

type FactValue = string | number | Address | Prefix | readonly (string | Address | Prefix | InterfaceSetting)[];
type InterfaceSetting = FindingOf<"strictArp">["interfaces"][number];

function factText(value: FactValue): string {
  if (!Array.isArray(value)) return value.toString();
  return list(
    value.map((one: string | Address | Prefix | InterfaceSetting) => (isSetting(one) ? `${one.value} on ${one.name}` : one)),
  );
}

function isSetting(one: string | Address | Prefix | InterfaceSetting): one is InterfaceSetting {
  return typeof one === "object" && "value" in one && "name" in one;
}

function describeNodePorts({ pool, interface: name, nodePortAddresses }: FindingOf<"nodePorts">): Words {
  const where = nodePortAddresses.length === 0 ? "all addresses of the node" : list(nodePortAddresses);
  return {
    message:
      `addresses of pool ${pool} are on ${name}, and kube-proxy serves NodePorts at ${where}: ` +
      "NodePorts of other Services can be reached at the pool's addresses",
    next: causes.node.nodePorts.next,
  };
}

function describeManager({ interface: name, manager, isDummy }: FindingOf<"interfaceManaged">): Words {
  const message = `${manager} manages ${name}: each time it starts, or configures this interface, it removes addresses and routes that its own configuration does not have, those of Services among them`;
  if (manager === "NetworkManager")
    return {
      message,
      next: `set unmanaged-devices=interface-name:${name} under [keyfile] in a file of /etc/NetworkManager/conf.d, then nmcli general reload`,
    };
  const next = isDummy
    ? `give ${name} a .network file of its own in /etc/systemd/network that has Unmanaged=yes under [Link], then networkctl reload`
    : `set KeepConfiguration=yes under [Network] in the .network file of ${name}, and ManageForeignRoutes=no in networkd.conf`;
  return { message, next };
}

function describeRpFilter({ interface: name, subnet, clients, leavesBy }: FindingOf<"rpFilter">): Words {
  return {
    message:
      `rp_filter is strict on ${name}, and replies to clients ${clients} ${subnet} leave by ${leavesBy}: ` +
      `what these clients send to ${name} is dropped`,
    next: `sysctl -w ${setting("ipv4", name, "rp_filter", 2)}`,
  };
}

function describeStrictArp({ holder, setting: name, wanted, interfaces }: FindingOf<"strictArp">): Words {
  const trouble =
    name === "arp_ignore"
      ? "the kernel answers ARP for these whichever node announces them"
      : "the kernel sends ARP requests in their name, and hosts then take this node for the one that announces them";
  // The larger of the two values is in effect, so that one above what is wanted has to be lowered where it is.
  const own = interfaces.filter(({ value }) => value > wanted).map(({ name: where }) => setting("ipv4", where, name, wanted));
  const settings = [setting("ipv4", "all", name, wanted), ...own].join(" ");
  const kubeProxy = holder === "kube-ipvs0" ? " (strictARP: true in kube-proxy's configuration)" : "";
  const where = list(interfaces.map(({ name, value }) => `${value} on ${name}`));
  return {
    message: `${holder} holds addresses of Services, and ${name} is ${where}: ${trouble}`,
    next: `sysctl -w ${settings}${kubeProxy}`,
  };
}

function describeForwarding({ family, interface: nic }: FindingOf<"forwardingOff">): Words {
  // A kernel that forwards ignores router advertisements unless it is configured otherwise, and its default route would expire.
  const [name, aside] =
    family === "IPv4"
      ? [nic === undefined ? "net.ipv4.ip_forward" : nameOf("ipv4", nic, "forwarding"), ""]
      : ["net.ipv6.conf.all.forwarding", ", with accept_ra=2 on an interface that has its routes from router advertisements"];
  return {
    message: `${name} is 0, and Services that are announced from here have endpoints on other nodes: packets for them are dropped`,
    next: `sysctl -w ${name}=1${aside}`,
  };
}

function describeOutside({ node, pool, addresses, subnets }: FindingOf<"outsideSubnets">): Words {
  const [what, lie] = addresses.length === 1 ? ["address", "lies"] : ["addresses", "lie"];
  return {
    message:
      `${what} ${list(addresses)} of pool ${pool} ${lie} in no subnet of ${node} (${list(subnets) || "it has none"}): ` +
      "hosts ask by ARP and NDP for addresses of their own subnet alone",
    next: causes.node.outsideSubnets.next,
  };
}

/**
 * A setting of an interface as sysctl(8) and sysctl.d(5) take it: `net.ipv4.conf.eth0.rp_filter=2`. Dots that belong to the name of the
 * interface, such as a VLAN's, are written as slashes there.
 */
export function setting(family: "ipv4" | "ipv6", interfaceName: string, name: string, value: number): string {
  return `${nameOf(family, interfaceName, name)}=${value}`;
}

function nameOf(family: "ipv4" | "ipv6", interfaceName: string, name: string): string {
  return `net.${family}.conf.${interfaceName.replaceAll(".", "/")}.${name}`;
}

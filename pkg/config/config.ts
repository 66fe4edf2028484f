import type { Address, AddressRange, Family, Prefix } from "#pkg/net";
import type { RawPeer } from "./shape/raw.ts";

/** A whole, checked configuration: everything in it can be used as it stands. Lists are in the order of the file. */
export interface Config {
  readonly pools: readonly Pool[];
  readonly quotas: readonly Quota[];
  readonly peers: readonly Peer[];
  readonly bfdProfiles: ReadonlyMap<string, BfdProfile>; // name -> profile
  readonly failover?: Failover;
}

/** Speakers watch one another by BFD. */
export interface Failover {
  readonly intervalMs: number;
}

/** All protocols, in the order in which lists have them. */
export const protocols = ["layer2", "bgp", "interface"] as const;
export type Protocol = (typeof protocols)[number];

/** `delivering`: nodes announce addresses only while their own kernel brings packets to Pods, unless that is so of no node. `alive`: always. */
export type AnnounceWhen = "alive" | "delivering";

export interface Pool {
  readonly name: string;
  /** By which speakers announce the addresses, each once; empty where somebody else announces them. */
  readonly protocols: readonly Protocol[];
  /** Each entry of `addresses`, in order; pairwise disjoint within and between pools. */
  readonly ranges: readonly AddressRange[];
  readonly autoAssign: boolean;
  /** Never hand out IPv4 addresses that end in .0 or .255. */
  readonly avoidBuggyIPs: boolean;
  /** Services that may have its addresses. */
  readonly fence: Fence;
  /** 1–2147483647: pools are tried from the lowest on; those without one after them. */
  readonly priority: number | undefined;
  /** Nobody gets a new address. */
  readonly closed: boolean;
  readonly sharing: Sharing;
  readonly reservations: readonly Reservation[];
  readonly netbox: Netbox | undefined;
  /** Never empty with protocol `bgp`, always empty without. */
  readonly advertisements: readonly BgpAdvertisement[];
  /** Next hops of its routes in place of the nodes: none, or a prefix of a family or of each; none without `bgp`. Pools may have the same ones. */
  readonly nextHopSlots: readonly Prefix[];
  /** Only nodes that any of these matches announce the addresses on layer 2, have them in their kernels, or own its slots; empty means all nodes. Always empty with `bgp` alone and without slots. */
  readonly nodeSelectors: readonly LabelSelector[];
  /**
   * Only the nodes with the highest sum of weights, among the nodes that may own an address, own it. Always empty where addresses have no
   * owner (`hasOwners`).
   */
  readonly preferredNodes: readonly PreferredNodes[];
  /**
   * Names with wildcards, as `matchesInterface` takes them: the interfaces on which the addresses, or slots, are answered for, or that may
   * have them. Always empty where neither have an owner.
   */
  readonly interfaces: readonly string[];
  /**
   * Where the addresses of Services are announced on layer 2. If several are for a Service, the last one counts. Empty: all Services have
   * the pool as it is; always so with protocol `interface` and with slots.
   */
  readonly layer2Advertisements: readonly Layer2Advertisement[];
  /**
   * How the owner of an address is chosen. For a pool whose addresses are on NICs it is always by subnet; it has no effect where addresses
   * have no owner.
   */
  readonly l2Placement: L2Placement;
  /** The reaction when a host of the network already answers for an address. Without effect where addresses have no owner. */
  readonly conflictProbe: ConflictProbe;
  /** How often another node is to try each announced address, in milliseconds; 0: never. Absent: as `selfTestInterval` says. */
  readonly selfTestMs?: number;
  /** Established connections go on when an address moves. Never where addresses have no owner. */
  readonly keepConnections: boolean;
  /** Whether nodes that cannot deliver to Pods leave the addresses to others: see `AnnounceWhen`. */
  readonly announceWhen: AnnounceWhen;
  /** How the addresses are put into the nodes' kernels; undefined without protocol `interface`. */
  readonly kernel: KernelPlacement | undefined;
}

/** Whether of all nodes one may announce an address of the pool, its owner: on layer 2, or with the address on a NIC. */
export function hasOwners({ protocols, kernel }: Pick<Pool, "protocols" | "kernel">): boolean {
  return protocols.includes("layer2") || (kernel !== undefined && kernel.placement !== "routed");
}

// A request, its answer, a SYN, its answer and a reset for each address: 256 of them are 21 packets a second in all.
const maxTriedByDefault = 256;
const triedByDefaultMs = 60_000;

/** How often another node tries each announced address, in milliseconds; Infinity: never. Small pools are tried unless they say otherwise. */
export function selfTestInterval(pool: Pick<Pool, "protocols" | "kernel" | "ranges" | "selfTestMs">): number {
  if (!hasOwners(pool) || pool.selfTestMs === 0) return Infinity;
  if (pool.selfTestMs !== undefined) return pool.selfTestMs;
  let size = 0n;
  for (const range of pool.ranges) {
    size += range.size;
    if (size > maxTriedByDefault) return Infinity;
  }
  return triedByDefaultMs;
}

/** Whether the pool gives no address that another host has, as speakers report. */
export function isStrict(pool: Pick<Pool, "protocols" | "kernel" | "conflictProbe">): boolean {
  return hasOwners(pool) && pool.conflictProbe === "strict";
}

/** The entry for an address in the kernel of nodes that serve it. */
export interface KernelPlacement {
  /** `routed`: each node has it by itself. `lan`: its owner, on a NIC in its subnet. `auto`: as `lan` where a node is in its subnet, else `routed`. */
  readonly placement: "routed" | "lan" | "auto";
  /** An address of `dummyInterface`, or a route through it in a table of its own. */
  readonly carrier: "address" | "route";
  readonly dummyInterface: string;
  /** The length of the address's subnet, or of the route. */
  readonly aggregationLength: number;
  readonly aggregationLengthV6: number;
  /** 1–4294967295, of no table that the kernel uses by itself. Without effect for `carrier` "address". */
  readonly routeTable: number;
  /** 1–255: the mark of its entries. */
  readonly routeProtocol: number;
  /** After which an address of `dummyInterface` goes if the speaker does not renew it; Infinity for never. */
  readonly addressLifetimeSeconds: number;
  /** The lifetime of an address on a NIC; undefined if not configured: it is short then. */
  readonly lanLifetimeSeconds: number | undefined;
}

/** A Service is inside if its namespace is and its own labels are. */
export interface Fence extends NamespaceSet {
  /** Only Services whose labels any of these matches; empty means all Services. */
  readonly serviceSelectors: readonly LabelSelector[];
}

/** Both lists together; all namespaces where both are empty. */
export interface NamespaceSet {
  readonly namespaces: readonly string[];
  readonly namespaceSelectors: readonly LabelSelector[];
}

/** Services that may share an address: all of the cluster, those of one namespace, or none. */
export type Sharing = "cluster" | "namespace" | "none";

/** Addresses of a pool that are kept; disjoint from those of its other reservations. */
export interface Reservation {
  readonly ranges: readonly AddressRange[];
  readonly holder: ReservationHolder;
}

export type ReservationHolder =
  | { readonly type: "nobody" }
  /** `namespace/name`. */
  | { readonly type: "service"; readonly service: string }
  | { readonly type: "namespace"; readonly namespace: string };

/** Where else the addresses of a pool are kept. */
export interface Netbox {
  /** URL of NetBox itself, without `/api`. */
  readonly url: string;
  readonly token: SecretKey;
  /** NetBox chooses addresses, or is told which were chosen. */
  readonly mode: "record" | "allocate";
  /** From where it chooses; addresses of the pool, each as NetBox has it. */
  readonly ranges: readonly AddressRange[];
  /** Slugs, at least one. A record that carries all of them is this cluster's. */
  readonly tags: readonly string[];
  readonly tenant: string | undefined;
  readonly role: string | undefined;
  readonly onRelease: "delete" | "deprecate" | "keep";
}

/** How much of some pools the Services of a namespace may have; undefined is no limit. */
export interface Quota extends NamespaceSet {
  /** Names of the pools; empty means all. */
  readonly pools: readonly string[];
  /** The namespaces are counted as one. */
  readonly together: boolean;
  /** Addresses. */
  readonly ipv4: number | undefined;
  readonly ipv6: number | undefined;
  /** Services with any address. */
  readonly services: number | undefined;
}

/** The protocols as one text: `layer2`, `layer2,bgp`, or `none`. */
export function formatProtocols(protocols: readonly Protocol[]): string {
  return protocols.length === 0 ? "none" : protocols.join(",");
}

/** Nodes that a selector matches. */
export interface PreferredNodes {
  /** 1–100. */
  readonly weight: number;
  readonly selector: LabelSelector;
}

/** Chooses one of the nodes that may announce an address. With neither, MetalLB's rule. */
export interface L2Placement {
  /** Only nodes with an address in the announced address's subnet. */
  readonly subnet: boolean;
  /** The node that announces it keeps it as long as it may, and no more than two shares of all that stay. */
  readonly sticky: boolean;
}

export type ConflictProbe = "off" | "report" | "strict";

export interface Layer2Advertisement {
  /** The Services that it is for. */
  readonly services: Fence;
  /** The pool as these have it: with their nodes and interfaces. */
  readonly pool: Pool;
}

export interface BgpAdvertisement {
  readonly aggregationLength: number;
  readonly aggregationLengthV6: number;
  /** Addresses with `Local` Services have routes of their own. */
  readonly keepMoreSpecifics: boolean;
  readonly localPref: number | undefined;
  readonly communities: readonly Community[];
  readonly med: number | undefined;
  /** How often the own AS number is repeated in front, beyond what eBGP demands; 0–10. */
  readonly asPathPrepend: number;
  /** Names of the peers that hear of it; empty means all. */
  readonly peers: readonly string[];
  /** Only nodes that any of these matches announce it; empty means all nodes. */
  readonly nodeSelectors: readonly LabelSelector[];
  /** In place of the node's own address in the session; of the family of the prefixes that each is for. */
  readonly nextHop: Address | undefined;
  readonly nextHopV6: Address | undefined;
  /** Routes say how many endpoints the node has, so that routers share traffic out in proportion. */
  readonly weightByEndpoints: boolean;
  /** The Services that it is made for. */
  readonly services: Fence;
  /** Attributes that a Service may ask for; undefined where it has no say. Communities are besides those of the entry. */
  readonly communitiesFrom: AskedCommunities | undefined;
  readonly medFrom: AskedNumber | undefined;
  readonly localPrefFrom: AskedNumber | undefined;
}

/** Communities that a Service may ask for, by a list in one of its texts. */
export interface AskedCommunities {
  readonly from: ObjectText;
  readonly allowed: ReadonlyMap<string, Community>; // as the entry names it -> community
}

/** A number from `min` to `max` that a Service may ask for. */
export interface AskedNumber {
  readonly from: ObjectText;
  readonly min: number;
  readonly max: number;
}

/** RFC 1997 as one 32-bit number, or RFC 8092 as three. */
export type Community =
  | { readonly type: "standard"; readonly value: number }
  | { readonly type: "large"; readonly globalAdministrator: number; readonly localData1: number; readonly localData2: number };

export interface Peer {
  /** Unique among peers. */
  readonly name: string | undefined;
  readonly myAsn: number;
  /** `external` for any but `myAsn`; `internal` of the text is `myAsn` here. */
  readonly peerAsn: number | "external";
  /** The families of routes that the session carries; one or two. */
  readonly families: readonly Family[];
  /** Undefined where each node finds its routers by itself. */
  readonly address: Address | undefined;
  /** The interface behind which a link-local `address` is; undefined for any other address. */
  readonly interface: string | undefined;
  /** There exactly if the configuration does not have the router's address, nor a node's label or annotation. */
  readonly discovery: RouterDiscovery | undefined;
  /** Undefined where all values are those of the configuration. Fields that it names have none here: AS numbers are 0. */
  readonly fromNode: NodeValues | undefined;
  /** Why this speaker has no session with it; undefined where that was not looked at. */
  readonly refusal?: PeerRefusal;
  readonly sourceAddress: Address | undefined;
  /** The interface whose address is to be the source. At most one of it and `sourceAddress` is there. */
  readonly sourceInterface: string | undefined;
  readonly port: number;
  /** 0 (never expires) or 3–65535. */
  readonly holdTimeSeconds: number;
  readonly keepaliveSeconds: number;
  /** 1–120: how long after a failed attempt the next one is; the time from which the back-off grows. */
  readonly connectTimeSeconds: number;
  readonly routerId: Address | undefined;
  /** The peer applies to a node that any of these matches; empty means all nodes. */
  readonly nodeSelectors: readonly LabelSelector[];
  /** At most one of `password` and `passwordSecret` is there. */
  readonly password: string | undefined;
  readonly passwordSecret: SecretKey | undefined;
  readonly bfdProfile: string | undefined;
  /** The session is not established before BFD is up. */
  readonly bfdStrict: boolean;
  readonly ebgpMultihop: boolean;
  /** TTL of packets to the peer; undefined for the system's default. */
  readonly ttl: number | undefined;
  /** RFC 5082: packets from farther away are dropped, and sent are those with TTL 255. Undefined for no such check. */
  readonly ttlSecurityHops: number | undefined;
  /** The peer connects, never this side. */
  readonly passive: boolean;
  readonly disabled: boolean;
  /** For how long the peer is asked to keep this side's routes while it restarts (RFC 4724); 0 is never, at most 4095. */
  readonly gracefulRestartSeconds: number;
  /** How long routes stay out with the community graceful-shutdown before they are withdrawn (RFC 8326); 0–600. */
  readonly gracefulShutdownSeconds: number;
  /** While the node is cordoned or being removed, its routes carry the community graceful-shutdown. */
  readonly drainWhenCordoned: boolean;
  /** This side's role towards the router (RFC 9234); undefined for none. */
  readonly role: BgpRole | undefined;
  /** There is no session with a router that has no role. */
  readonly roleStrict: boolean;
  /** The router keeps routes after a NOTIFICATION and its hold timer, too (RFC 8538). */
  readonly gracefulRestartNotification: boolean;
  /** For how long it keeps them beyond `gracefulRestartSeconds`, as the last resort (RFC 9494); 0 is not at all. */
  readonly longLivedStaleSeconds: number;
  /** How many prefixes of each family the router takes; undefined where that is not said. */
  readonly maximumPrefix: number | undefined;
  /** The router is offered several paths to a prefix (RFC 7911). */
  readonly addPath: boolean;
}

/** Fields of a peer whose values are each node's own. */
export interface NodeValues {
  readonly values: ReadonlyMap<NodeField, ObjectText>;
  /** The entry as it is written, besides these. */
  readonly fields: RawPeer;
}

/** `node`: the node has no values for the peer. `central`: a central speaker has no session with a router that is each node's own. */
export interface PeerRefusal {
  readonly by: "node" | "central";
  readonly what: string; // In words.
}

export type NodeField = "peer-address" | "my-asn" | "peer-asn" | "router-id" | "source-address" | "password-secret-key";

/** The label or annotation of an object with this name. */
export interface ObjectText {
  readonly kind: "label" | "annotation";
  readonly name: string;
}

/** How each node finds its routers by itself. `interfaces` are names with wildcards, as `matchesInterface` takes them. */
export type RouterDiscovery =
  /** By their router advertisements (RFC 4861), one router on each of these interfaces. */
  | { readonly by: "advertisements"; readonly interfaces: readonly string[] }
  /**
   * The next hops of its default routes of these families, by these interfaces; by any where there are none. `hasBoth`: the configuration
   * names no families, so that a session carries the family of its gateway alone.
   */
  | {
      readonly by: "gateway";
      readonly families: readonly Family[];
      readonly interfaces: readonly string[];
      readonly hasBoth: boolean;
    };

/** RFC 9234, section 4.1. */
export type BgpRole = "provider" | "rs-server" | "rs-client" | "customer" | "peer";

/** One value of a Secret in the namespace of the configuration. */
export interface SecretKey {
  readonly name: string;
  readonly key: string;
}

/** A Kubernetes label selector: every label and every expression has to match. */
export interface LabelSelector {
  readonly matchLabels: ReadonlyMap<string, string>; // label -> value
  readonly matchExpressions: readonly LabelExpression[];
}

export interface LabelExpression {
  readonly key: string;
  readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
  readonly values: readonly string[];
}

export interface BfdProfile {
  readonly name: string;
  readonly receiveIntervalMs: number;
  /** The configuration gives `receive-interval`; otherwise it is the default. */
  readonly hasReceiveInterval: boolean;
  readonly transmitIntervalMs: number;
  readonly detectMultiplier: number;
  readonly echoIntervalMs: number;
  readonly echoMode: boolean;
  readonly passiveMode: boolean;
  readonly minimumTtl: number;
}

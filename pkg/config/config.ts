import type { Address, AddressRange, Family, Prefix } from "#pkg/net";

/** A whole, checked configuration: everything in it can be used as it stands. Lists are in the order of the file. */
export interface Config {
  readonly pools: readonly Pool[];
  readonly peers: readonly Peer[];
  readonly bfdProfiles: ReadonlyMap<string, BfdProfile>; // name -> profile
}

export type Protocol = "layer2" | "bgp";

export interface Pool {
  readonly name: string;
  readonly protocol: Protocol;
  /** Each entry of `addresses`, in order; pairwise disjoint within and between pools. */
  readonly ranges: readonly AddressRange[];
  /** The same addresses as the fewest CIDRs of each entry. */
  readonly cidrs: readonly Prefix[];
  readonly autoAssign: boolean;
  /** Never hand out IPv4 addresses that end in .0 or .255. */
  readonly avoidBuggyIPs: boolean;
  /** Never empty for a `bgp` pool; always empty for a `layer2` one. */
  readonly advertisements: readonly BgpAdvertisement[];
  /** Only nodes that any of these matches announce the addresses; empty means all nodes. Always empty for a `bgp` pool. */
  readonly nodeSelectors: readonly LabelSelector[];
  /**
   * Names with wildcards, as `matchesInterface` takes them: the interfaces on which the addresses are answered for. Always empty for a
   * `bgp` pool.
   */
  readonly interfaces: readonly string[];
  /** How the owner of an address is chosen. Neither for a `bgp` pool. */
  readonly l2Placement: L2Placement;
  /** What is done when a host of the network already answers for an address. Without effect for a `bgp` pool. */
  readonly conflictProbe: ConflictProbe;
}

/** Which of the nodes that may announce an address does. With neither, MetalLB's rule. */
export interface L2Placement {
  /** Only nodes with an address in the announced address's subnet. */
  readonly subnet: boolean;
  /** The node that announces it keeps it as long as it may, and no more than two shares of all that stay. */
  readonly sticky: boolean;
}

export type ConflictProbe = "off" | "report" | "strict";

export interface BgpAdvertisement {
  readonly aggregationLength: number;
  readonly aggregationLengthV6: number;
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
  readonly address: Address;
  /** The interface behind which a link-local `address` is; undefined for any other address. */
  readonly interface: string | undefined;
  readonly sourceAddress: Address | undefined;
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
  /** Of packets to the peer; undefined for the system's default. */
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
}

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

/** One thing wrong in the text. Lines and columns count from 1, in the text that was given. */
export interface Problem {
  /** An error refuses the configuration; a warning does not. */
  readonly severity: "error" | "warning";
  /** Where in the configuration, such as `address-pools[0].addresses[1]`; empty for the whole. */
  readonly path: string;
  readonly line: number;
  readonly column: number;
  /** What was found and what is allowed. */
  readonly message: string;
}

/** `config` is absent if any problem is an error. */
export interface ParsedConfig {
  readonly config?: Config;
  readonly problems: readonly Problem[];
}

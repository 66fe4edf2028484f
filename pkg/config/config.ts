import type { Address, AddressRange, Prefix } from "#pkg/net";

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
   * Globs of `pkg/glob`: the addresses are answered for on interfaces whose name matches any; empty means all. Always empty for a
   * `bgp` pool.
   */
  readonly interfaces: readonly string[];
}

export interface BgpAdvertisement {
  readonly aggregationLength: number;
  readonly aggregationLengthV6: number;
  readonly localPref: number | undefined;
  readonly communities: readonly Community[];
}

/** RFC 1997 as one 32-bit number, or RFC 8092 as three. */
export type Community =
  | { readonly type: "standard"; readonly value: number }
  | { readonly type: "large"; readonly globalAdministrator: number; readonly localData1: number; readonly localData2: number };

export interface Peer {
  readonly myAsn: number;
  readonly peerAsn: number;
  readonly address: Address;
  readonly sourceAddress: Address | undefined;
  readonly port: number;
  /** 0 (never expires) or 3–65535. */
  readonly holdTimeSeconds: number;
  readonly keepaliveSeconds: number;
  readonly routerId: Address | undefined;
  /** The peer applies to a node that any of these matches; empty means all nodes. */
  readonly nodeSelectors: readonly LabelSelector[];
  readonly password: string | undefined;
  readonly bfdProfile: string | undefined;
  readonly ebgpMultihop: boolean;
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

import type { Fault, Timed } from "#e2e/faults";
import type { Millis } from "#pkg/clock";
import type { Family } from "#pkg/net";
import type { ApiWeather } from "./api/api-connection.ts";
import type { PeerField } from "./api/node-objects.ts";
import { communityAnnotation, reachedAddress, routerAddress, type ServiceSpec } from "./api/objects.ts";

/** Something that happens to a cluster: a fault, or an act that chaos does not have. A lasting act ends by itself after `length`, so that any act can be left out of a history. */
export type Act =
  | (Exclude<Fault, { readonly type: "setClock" }> & { readonly length: Millis })
  /** Nobody sets the clock right again. */
  | Extract<Fault, { readonly type: "setClock" }>
  /** Only the main thread of the node's speaker stands still: its ring, BFD and answers go on. */
  | { readonly type: "stallMainThread"; readonly node: number; readonly length: Millis }
  | { readonly type: "exclude" | "drain" | "edge" | "cordon"; readonly node: number; readonly length: Millis }
  | { readonly type: "cutRouter"; readonly node: number; readonly cut: Cut; readonly length: Millis }
  /** The router ends, and runs again after so long; from then on it takes several paths to a prefix or not, where that is said. */
  | { readonly type: "restartRouter"; readonly how: RouterRestart; readonly takesPaths?: boolean; readonly length: Millis }
  /** The LAN delays each frame by up to so long, and carries some of them twice, of 1. */
  | { readonly type: "slowLan"; readonly delayMs: Millis; readonly duplication: number; readonly length: Millis }
  /** The node's speaker is one that has the capability NET_ADMIN, where the one before lacks it, and the other way round. */
  | { readonly type: "netAdmin"; readonly node: number; readonly length: Millis }
  /** Somebody gives the node the taint of one that is shut down; its first NIC loses its addresses on the LAN; or nobody answers its connections to Services. */
  | { readonly type: "outOfService" | "loseSubnet" | "silence"; readonly node: number; readonly length: Millis }
  /** The node has this taint. */
  | { readonly type: "taint"; readonly node: number; readonly key: string; readonly length: Millis }
  /** The node's default route is gone. */
  | { readonly type: "loseGateway"; readonly node: number; readonly length: Millis }
  /** The node has another value for a field of peers, or, where null, none. */
  | {
      readonly type: "peerValue";
      readonly node: number;
      readonly field: PeerField;
      readonly value: string | null;
      readonly length: Millis;
    }
  /** The namespace of all Services has another label `team`, or none. */
  | { readonly type: "changeTeam"; readonly to: string | undefined; readonly length: Millis }
  /** The node gets a second NIC on the LAN, or loses the one that it has; the second one is unplugged, where the node has one. */
  | { readonly type: "secondNic" | "unplugSecond"; readonly node: number; readonly length: Millis }
  /** The node reaches the address of pools with `can_reach` by another NIC, or, where undefined, by none. */
  | { readonly type: "route"; readonly node: number; readonly by: string | undefined; readonly length: Millis }
  /** The node's kernel brings no packets of these families to Pods for so long; absent: of both. */
  | { readonly type: "breakPath"; readonly node: number; readonly of?: readonly Family[]; readonly length: Millis }
  /** The node's kube-proxy stands still for so long, and knows the Pods of before. */
  | { readonly type: "stopProxy"; readonly node: number; readonly length: Millis }
  /** An administrator flushes the packet filter of the node's machine, or its kernel forgets all connections. */
  | { readonly type: "flushFilter" | "forgetConnections"; readonly node: number }
  /** The thread of the node's speaker that answers on the LAN has ended, for so long. */
  | { readonly type: "endThread"; readonly node: number; readonly length: Millis }
  /** The node has another network card. */
  | { readonly type: "changeMac"; readonly node: number }
  /**
   * The node has another address: a new one, or that of another node, which gets a new one. Meanwhile it is off for so long; undefined where it
   * runs on.
   */
  | { readonly type: "changeAddress"; readonly node: number; readonly from?: number; readonly off?: Millis }
  /**
   * The Node is deleted, and made again. With its machine, where it is off, which maybe has a new address then; where it runs on, its Pod goes too
   * after a while.
   */
  | {
      readonly type: "deleteNode";
      readonly node: number;
      readonly isOff: boolean;
      readonly moves: boolean;
      readonly length: Millis;
    }
  /** These nodes' speakers end at once, in order or not. */
  | { readonly type: "restartSpeakers"; readonly nodes: readonly number[]; readonly inOrder: boolean; readonly length: Millis }
  /** Each speaker is replaced in order once the one before is Ready. */
  | { readonly type: "rollOut"; readonly length: Millis }
  /** Nodes reach those of their own part. Where the LAN is whole, IP alone is cut: ARP, NDP, challenges and proofs pass. */
  | {
      readonly type: "cut";
      readonly parts: readonly number[];
      readonly centralParts?: readonly number[];
      readonly isLanWhole?: boolean;
      readonly length: Millis;
    }
  /** A host on the LAN, beside one node, sends in the names of these, and holds back challenges and proofs for so long at most: see `Attacker`. */
  | {
      readonly type: "attack";
      readonly nodes: readonly number[];
      readonly at: number;
      readonly holdMs: Millis;
      readonly length: Millis;
    }
  | { readonly type: "breakWatches"; readonly of: Client }
  | { readonly type: "restartApi" | "compact" }
  /** The API goes back to what it had so long ago. */
  | { readonly type: "restore"; readonly age: Millis }
  | { readonly type: "weather"; readonly weather: ApiWeather; readonly length: Millis }
  /** The API refuses the right to it, to everybody. */
  | { readonly type: "forbid"; readonly what: "leases" | "writes" | "reports"; readonly length: Millis }
  /** A host without a speaker uses an address of the pool `strict`; meanwhile the API may refuse to have any status of a Service written. */
  | { readonly type: "occupy"; readonly address: string; readonly refusesStatus: boolean; readonly length: Millis }
  /** A host without a speaker uses an address that somebody answers for, chosen by this number. */
  | { readonly type: "foreignHost"; readonly choice: number; readonly length: Millis }
  /** @property mayRenumber it may leave no pool for addresses in use */
  | { readonly type: "config"; readonly text: string; readonly mayRenumber?: boolean }
  /** Somebody deletes the controllers' Lease. */
  | { readonly type: "deleteLease" }
  /** It is made again as it was. */
  | { readonly type: "deleteConfig"; readonly length: Millis }
  /** Speakers, one after the other, and controllers get the other source of the configuration, which says the same. */
  | { readonly type: "switchSource"; readonly length: Millis }
  /** The configuration has no peers for so long. */
  | { readonly type: "removePeers"; readonly length: Millis }
  /** The configuration is another one for so long. */
  | { readonly type: "configure"; readonly text: string; readonly mayRenumber: boolean; readonly length: Millis }
  /** The ring gets a new key, which this node learns so much later than the others use it: it does not understand them until then. The LAN is whole. */
  | { readonly type: "rotateKey"; readonly node: number; readonly length: Millis }
  /** They have another hold time for so long, for which it takes new sessions. */
  | { readonly type: "changePeers"; readonly length: Millis }
  /** A Service that asks for a pool with both families gets others, and nothing else; it is made anew where its first family is another one. */
  | { readonly type: "families"; readonly name: string; readonly first?: Family; readonly policy: FamilyPolicy }
  /** Undefined: it is deleted. */
  | { readonly type: "service"; readonly name: string; readonly spec: ServiceSpec | undefined };

export type FamilyPolicy = "SingleStack" | "PreferDualStack" | "RequireDualStack";

/** Which packets between a node and the router get lost. */
export type Cut = "both" | "toRouter" | "toNode";

/** How a router restarts: its BGP alone, gracefully (RFC 4724); all its processes; or its machine, so that nothing tells its neighbors. */
export type RouterRestart = "graceful" | "processes" | "machine";

/** A speaker's node, or a controller. */
export type Client = { readonly speaker: number } | { readonly controller: number };

export interface History {
  readonly seed: number;
  readonly nodes: number;
  readonly loss: number;
  /** The nodes whose speakers lack the capability NET_ADMIN; none where absent. */
  readonly withoutNetAdmin?: readonly number[];
  /** The nodes with a second NIC; none where absent. */
  readonly secondNics?: readonly number[];
  /** The longest that a speaker's main thread takes between two turns of work; 1 ms where absent. */
  readonly maxTurnMs?: Millis;
  /** The work of controllers and of speakers' main threads takes milliseconds now and then, as on a busy machine; none where absent. */
  readonly isSlow?: boolean;
  /** The longest that each thread and each first list of a speaker takes when it starts; none where absent. */
  readonly startDelayMs?: Millis;
  /** The weather between processes and the API until an act changes it; fair where absent. */
  readonly weather?: ApiWeather;
  /** Speakers watch one another by BFD, with a packet this often; not at all where absent. */
  readonly failoverMs?: Millis | undefined;
  /** No speaker has a ring: each knows by the API alone which others there are. */
  readonly withoutRing?: boolean;
  /** They do so only while the configuration says that they watch one another. */
  readonly followsFailover?: boolean;
  /** Speakers ask kube-proxy for its Pods of each `Local` Service; not at all where absent. */
  readonly hasHealthPorts?: boolean;
  /** Speakers try connections to Services; not at all where absent. */
  readonly triesConnections?: boolean;
  /** The router connects to nodes, which take its connections; absent: nodes connect alone. */
  readonly routerDials?: boolean;
  /** How many central speakers there are, on machines of their own, by which the nodes have no sessions; none where absent. Acts name them from `firstCentral` on. */
  readonly centralSpeakers?: number;
  /** The configuration in force at the start, which is put in force again at the end. */
  readonly config: string;
  /** The configuration is custom resources, and texts are their manifests. */
  readonly configSource?: ConfigSource;
  readonly services: Readonly<Record<string, ServiceSpec>>;
  readonly acts: readonly Timed<Act>[];
}

/** The label `team` of the namespace of all Services at the beginning. */
export const ownTeam = "a";

/** Where daemons read the configuration. */
export type ConfigSource = "configmap" | "crds";

const pools = `address-pools:
- name: lan
  protocol: layer2
  addresses: [192.0.2.0-192.0.2.19, "2001:db8::-2001:db8::13"]
  preferred-nodes: [{weight: 100, match-labels: {edge: "true"}}]
- name: sticky
  protocol: layer2
  l2-placement: sticky
  preferred-nodes: [{weight: 100, match-labels: {edge: "true"}}]
  addresses: [192.0.2.32-192.0.2.51, "2001:db8::20-2001:db8::33"]
- name: routed
  protocol: bgp
  addresses: [198.51.100.0/28]
- name: both
  protocol: [layer2, bgp]
  addresses: [192.0.2.96/28]
- name: nic
  protocol: interface
  placement: lan
  addresses: [192.0.2.112/28]
- name: strict
  protocol: layer2
  conflict-probe: strict
  addresses: [192.0.2.160/28]
- name: given
  protocol: none
  addresses: [203.0.113.0/28]
`;

/** Pools for nodes with certain NICs, with a second one, with a way out of the LAN, or with an address on it; and for certain nodes for certain Services. */
const nicPools = `- name: second
  protocol: layer2
  interfaces: [eth1]
  addresses: [192.0.2.176/30]
- name: reached
  protocol: layer2
  interfaces: ["can_reach:${reachedAddress}"]
  addresses: [192.0.2.180/30]
- name: near
  protocol: layer2
  l2-placement: subnet
  addresses: [192.0.2.184/30]
- name: within
  protocol: layer2
  l2-placement: sticky-subnet
  addresses: [192.0.2.188/30]
- name: advertised
  protocol: layer2
  addresses: [192.0.2.148/30]
  layer2-advertisements:
  - {}
  - {service-selectors: [{match-labels: {tier: edge}}], node-selectors: [{match-labels: {edge: "true"}}]}
  - {service-selectors: [{match-labels: {tier: second}}], interfaces: [eth1]}
- name: chosen
  protocol: bgp
  addresses: [198.51.100.16/30]
  bgp-advertisements: [{node-selectors: [{match-labels: {edge: "true"}}]}]
`;

/** Edits of a configuration with these pools, by which other nodes may announce their addresses. Each node that might announce a pool on layer 2 still may. */
export const nicEdits: readonly ((config: string) => string)[] = [
  (config) => config.replace("  interfaces: [eth1]\n", ""),
  (config) => config.replace("  l2-placement: subnet\n", ""),
  (config) => config.replace(/ {2}layer2-advertisements:\n(?: {2}-.*\n)*/, ""),
  (config) => config.replace(/ {2}bgp-advertisements: .*\n/, ""),
  (config) => config.replace("  my-asn: 65001\n", '$&  node-selectors: [{match-labels: {edge: "true"}}]\n'),
];

/** A configuration with these pools, too. */
export function withNicPools(config: string): string {
  return config.replace("- name: given\n", `${nicPools}$&`);
}

const holdSeconds = 9;
const restartSeconds = 20;
/** How long a router that restarts gracefully, or whose neighbor does, waits for the other. */
export const restartMs: Millis = restartSeconds * 1000;
/** How long a router keeps routes through a neighbor that is gone, where it has no BFD. */
export const holdMs: Millis = holdSeconds * 1000 + restartMs;

const peer = `peers:
- peer-address: ${routerAddress}
  peer-asn: 65002
  my-asn: 65001
  hold-time: ${holdSeconds}s
  graceful-restart-time: ${restartSeconds}s
`;

/** The configuration at the start: pools on layer 2, by BGP, by both, on NICs and for none, and a router. */
export const firstConfig = `${pools}${peer}`;
/** The same with BFD. */
export const bfdConfig = `${firstConfig}  bfd-profile: fast\nbfd-profiles: [{name: fast}]\n`;

/** Peers of a configuration get another hold time. */
export function withShorterHold(config: string): string {
  return config.replace(`hold-time: ${holdSeconds}s`, "hold-time: 6s").replace(`holdTime: ${holdSeconds}s`, "holdTime: 6s");
}

/** The addresses of one pool are others. */
export const movedConfig = firstConfig.replace("192.0.2.0-192.0.2.19", "192.0.2.128-192.0.2.147");

export const resource = (kind: string, name: string, spec: string) =>
  `---\napiVersion: metallb.io/${kind === "BGPPeer" ? "v1beta2" : "v1beta1"}\nkind: ${kind}\nmetadata: {name: ${name}}\nspec: ${spec}\n`;
/** The pools that MetalLB's custom resources can express, as them, and the router. */
export const firstResources = [
  resource("IPAddressPool", "lan", '{addresses: [192.0.2.0-192.0.2.19, "2001:db8::-2001:db8::13"]}'),
  resource("IPAddressPool", "routed", "{addresses: [198.51.100.0/28]}"),
  resource("IPAddressPool", "both", "{addresses: [192.0.2.96/28]}"),
  resource("IPAddressPool", "given", "{addresses: [203.0.113.0/28]}"),
  resource(
    "L2Advertisement",
    "lan",
    '{ipAddressPools: [lan], preferredNodeSelectors: [{weight: 100, preference: {matchLabels: {edge: "true"}}}]}',
  ),
  resource("L2Advertisement", "both", "{ipAddressPools: [both]}"),
  resource("BGPAdvertisement", "routed", "{ipAddressPools: [routed, both]}"),
  resource("BGPPeer", "router", `{myASN: 65001, peerASN: 65002, peerAddress: ${routerAddress}, holdTime: ${holdSeconds}s}`),
].join("");
/** The addresses of one pool are others. */
export const movedResources = firstResources.replace("192.0.2.0-192.0.2.19", "192.0.2.128-192.0.2.147");
/** Further ones beside them. */
export const moreResources = [
  firstResources.replace("holdTime", "bfdProfile: fast, holdTime"),
  resource("BFDProfile", "fast", "{}"),
  resource("IPAddressPool", "more", "{addresses: [192.0.2.64/28]}"),
  resource("L2Advertisement", "more", "{ipAddressPools: [more]}"),
].join("");
/** Resources that are refused: with text in place of an address, a Community that is missing, two pools that overlap, or without pools in use. */
export const refusedResources = [
  `${firstResources}${resource("IPAddressPool", "more", "{addresses: [nonsense]}")}`,
  `${firstResources}${resource("BGPAdvertisement", "more", "{ipAddressPools: [given], communities: [none]}")}`,
  `${firstResources}${resource("IPAddressPool", "more", "{addresses: [192.0.2.8/30]}")}`,
  firstResources.slice(firstResources.indexOf("---\napiVersion: metallb.io/v1beta1\nkind: L2Advertisement")),
];

/** One pool of sticky addresses, and no router. */
export const stickyConfig = `address-pools:
- name: sticky
  protocol: layer2
  l2-placement: sticky
  addresses: [192.0.2.32-192.0.2.51, "2001:db8::20-2001:db8::33"]
`;
/** The same among the nodes that have a subnet with the address. */
export const stickySubnetConfig = stickyConfig.replace("l2-placement: sticky", "l2-placement: sticky-subnet");

/** Of another pool. */
export const unkeptPool = "plain";
/** Pools that keep connections: one of which each move is an election, one whose addresses stay. */
export const keptConfig = `address-pools:
- name: lan
  protocol: layer2
  keep-connections: true
  addresses: [192.0.2.0-192.0.2.19, "2001:db8::-2001:db8::13"]
  preferred-nodes: [{weight: 100, match-labels: {edge: "true"}}]
- name: sticky
  protocol: layer2
  l2-placement: sticky
  keep-connections: true
  addresses: [192.0.2.32-192.0.2.51, "2001:db8::20-2001:db8::33"]
`;

/** The same with addresses on NICs, and beside a pool whose connections may break. */
export const keptBesideConfig = `${keptConfig}- name: nic
  protocol: interface
  placement: lan
  keep-connections: true
  addresses: [192.0.2.112/28]
- name: ${unkeptPool}
  protocol: layer2
  addresses: [192.0.2.160/28]
`;

/** Another one of the pools in place of these: connections are kept no longer; the placement of each is the other's; the addresses are. */
export const otherKeptConfigs: readonly ((config: string) => string)[] = [
  (config) => config.replace("  keep-connections: true\n", ""),
  (config) => config.replaceAll("  keep-connections: true\n", ""),
  (config) => swapped(config, "  protocol: layer2\n  keep", "  protocol: layer2\n  l2-placement: sticky\n  keep"),
  (config) =>
    swapped(config, '192.0.2.0-192.0.2.19, "2001:db8::-2001:db8::13"', '192.0.2.32-192.0.2.51, "2001:db8::20-2001:db8::33"'),
];

function swapped(text: string, one: string, other: string): string {
  return text.replace(other, "{}").replace(one, other).replace("{}", one);
}

/** Lengths of prefixes. */
export const aggregates = { IPv4: 30, IPv6: 126 } as const;

const routedPool = `address-pools:
- name: routed
  protocol: bgp
  addresses: [198.51.100.0/28, "2001:db8:1::/124"]
`;
/** A pool with next-hop slots of both families, and a router. */
export const slotsConfig = `${routedPool}  next-hop-slots: [192.0.2.224/28, "2001:db8::e0/124"]\n${peer}`;
/** Fields by which configurations of central speakers differ. */
export const centralFields = {
  /** The advertisement has aggregates of four addresses, and communities that Services may ask for. */
  aggregated: `aggregation-length: ${aggregates.IPv4}, aggregation-length-v6: ${aggregates.IPv6}, keep-more-specifics: true,
    communities-from: {annotation: ${communityAnnotation}, allowed: ["65001:7"]}`,
  weighed: "weight: endpoints",
  edge: 'node-selectors: [{match-labels: {edge: "true"}}]',
  /** These two are fields of the peer. */
  addPath: "add-path: true",
  drained: "drain-when-cordoned: true",
} as const;
/** A pool that central speakers announce, and one on layer 2. */
export function centralConfig(fields: readonly (keyof typeof centralFields)[] = ["addPath"]): string {
  const of = (...some: readonly (keyof typeof centralFields)[]) =>
    some.flatMap((field) => (fields.includes(field) ? [centralFields[field]] : []));
  return `${routedPool}  bgp-advertisements:
  - {${of("aggregated", "weighed", "edge").join(", ")}}
- name: lan
  protocol: layer2
  addresses: [192.0.2.0-192.0.2.19, "2001:db8::-2001:db8::13"]
${peer}${of("addPath", "drained")
  .map((field) => `  ${field}\n`)
  .join("")}`;
}
/** Whether a configuration has it. */
export function hasField(config: string | undefined, field: keyof typeof centralFields): boolean {
  return config?.includes(centralFields[field]) === true;
}
/** The same with twice as many IPv4 slots. */
export const widerSlotsConfig = slotsConfig.replace("192.0.2.224/28", "192.0.2.224/27");
/** The same without slots. */
export const withoutSlotsConfig = `${routedPool}${peer}`;
/** Conditions of an undisturbed API. */
export const fairWeather: ApiWeather = { latencyMs: 10, watchLagMs: 20, refusals: 0, lostAnswers: 0 };

/** When the last of it is over. */
export function endOf({ acts }: History): Millis {
  return Math.max(0, ...acts.map(({ at, act }) => at + ("length" in act ? act.length : "off" in act ? (act.off ?? 0) : 0)));
}

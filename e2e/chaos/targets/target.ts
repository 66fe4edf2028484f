import type { ApiClient, ServiceOptions } from "#e2e/demo-cluster";
import { type Switch, waitFor } from "#e2e/lab";
import type { Millis } from "#pkg/clock";
import type { OwnWhat, What } from "../acts.ts";
import type { ArpAnswers } from "../asker.ts";
import type { BrokenFlow } from "../flow-client.ts";

export type Undo = () => Promise<void> | void;

/** A node, from outside. */
export interface TargetNode {
  readonly name: string;
  /** IPv4, then IPv6. */
  readonly addresses: readonly [string, string];
  /** Written as twelve hexadecimal digits. */
  readonly mac: string;
  /** Runs a command in its network. @throws {Error} when it fails */
  run(argv: readonly string[], options?: { readonly input?: string }): Promise<string>;
  /** Its speaker's answer under this path. @throws {Error} without an answer */
  ask(path: string): Promise<unknown>;
}

export interface TargetRouter {
  kill(): Promise<void>;
  /** After `kill`. */
  start(): Promise<void>;
  freeze(): void;
  thaw(): void;
  /** Where its kernel sends packets to this address. */
  nextHops(address: string): Promise<readonly string[]>;
}

/**
 * A cluster to act on, with an address or two from each of its pools, a router with routes to some of them, and a host that asks by ARP who
 * answers for the others.
 */
export interface Target extends AsyncDisposable {
  readonly nodes: readonly TargetNode[];
  readonly lan: Switch;
  /** Its name at the switch. */
  readonly controlPlane: { readonly name: string };
  readonly api: ApiClient;
  readonly router: TargetRouter;
  /** Service -> the address that it has got. */
  readonly services: ReadonlyMap<string, string>;
  /** Addresses among these that the router has routes to. */
  readonly routed: readonly string[];
  readonly can: ReadonlySet<What["type"]>;
  /** Whether it starts again by itself what was ended, or ends what stands still. */
  readonly revives: boolean;
  /** How long the router may have routes by a node that is silent while their session is up. */
  readonly detectionMs: Millis;
  /** The configuration with these pools besides. */
  configuration(more?: string): string;
  /** Makes a Service without Pods, or with those that all Services have. */
  expose(name: string, options?: ServiceOptions): Promise<{ delete(): Promise<void> }>;
  /** Does it. @returns how to undo it @throws {Error} for an act that it cannot do */
  carryOut(what: OwnWhat): Promise<Undo>;
  /** Answers since the last call. */
  asked(): Promise<readonly ArpAnswers[]>;
  /** Connections that a client keeps open: how many there were, and those that broke; undefined where no pool keeps connections. */
  readonly flows?: (() => { readonly opened: number; readonly broken: readonly BrokenFlow[] }) | undefined;
  /** A client's request. @returns its status @throws {Error} without an answer */
  request(address: string): Promise<number>;
  /** Waits until all that is not ours has recovered. */
  recovered(): Promise<void>;
}

export const holdTimeSeconds = 9;
/** Settings of BFD, in a run with BFD. */
export const bfd = { intervalMs: 100, multiplier: 3 };
export const gracefulRestartSeconds = 20;
/** For so long the router keeps a node's session down after what it takes for an error. */
export const errorWaitSeconds = 30;
export const routedPrefix = "198.51.100.0/28";
/** Number of addresses of the pool `lan`. */
export const poolSize = 10;
export const namespace = "metallb-system";

/** Settings that a seed gives a run, independent of its acts. */
export interface Variant {
  /** Speakers and router lose one another by BFD, long before BGP's hold time is over. */
  readonly hasBfd: boolean;
  /** There is a pool whose addresses the speakers put on the nodes' NICs, and they may. */
  readonly hasNics: boolean;
  /** Between two packets of BFD between speakers; undefined: they do without. */
  readonly failoverMs: number | undefined;
  /** Connections go on when an address moves, where speakers have the right to hand packets over. */
  readonly keepsConnections: boolean;
}

export function variantOf(seed: number): Variant {
  return {
    hasBfd: seed % 2 === 0,
    hasNics: seed % 4 < 2,
    failoverMs: [undefined, 10, 30, 100][Math.floor(seed / 4) % 4],
    keepsConnections: seed % 3 === 0,
  };
}

const pools: ReadonlyMap<string, string> = new Map([
  ["web", "lan"],
  ["shop", "lan"],
  ["stay", "sticky"],
  ["rest", "sticky"],
  ["far", "routed"],
  ["near", "both"],
  ["host", "nics"],
]);

/** Service -> its pool. */
export function poolsIn({ hasNics }: Variant): ReadonlyMap<string, string> {
  return new Map([...pools].filter(([, pool]) => hasNics || pool !== "nics"));
}

// Pools whose addresses the router has routes to, and those for whose addresses nodes answer.
const byBgp = ["routed", "both"];
const byLayer2 = ["lan", "sticky", "both", "nics"];

export function detectionMs({ hasBfd }: Variant): Millis {
  return hasBfd ? bfd.intervalMs * bfd.multiplier : holdTimeSeconds * 1_000;
}

/** The text of a configuration. */
export function configurationFor(
  peer: { readonly address: string; readonly asn: number; readonly ownAsn: number },
  { hasBfd, hasNics, failoverMs, keepsConnections }: Variant,
  more = "",
): string {
  const times = `hold-time: ${holdTimeSeconds}s, graceful-restart-time: ${gracefulRestartSeconds}s`;
  const keep = keepsConnections ? ", keep-connections: true" : "";
  return `${failoverMs === undefined ? "" : `failover: {interval: ${failoverMs}ms}\n`}bfd-profiles:
- {name: fast, receive-interval: ${bfd.intervalMs}, transmit-interval: ${bfd.intervalMs}, detect-multiplier: ${bfd.multiplier}}
peers:
- {my-asn: ${peer.ownAsn}, peer-asn: ${peer.asn}, peer-address: ${peer.address}, ${times}${hasBfd ? ", bfd-profile: fast" : ""}}
address-pools:
- {name: lan, protocol: layer2${keep}, addresses: [172.30.0.200-172.30.0.209]}
- {name: sticky, protocol: layer2, l2-placement: sticky${keep}, addresses: [172.30.0.210-172.30.0.219]}
- {name: both, protocol: [layer2, bgp], addresses: [172.30.0.224/30]}
- {name: routed, protocol: bgp, avoid-buggy-ips: true, addresses: [${routedPrefix}]}
${hasNics ? "- {name: nics, protocol: interface, placement: lan, addresses: [172.30.0.228/30]}\n" : ""}${more}`;
}

/** The addresses that the router has routes to, and the addresses that nodes answer for. @param services Service -> its address */
export function waysTo(services: ReadonlyMap<string, string>): { readonly routed: string[]; readonly answered: string[] } {
  const of = (among: readonly string[]) =>
    [...services].flatMap(([name, address]) => (among.includes(pools.get(name) ?? "") ? [address] : []));
  return { routed: of(byBgp), answered: of(byLayer2) };
}

/** For a Service with an address of this pool. */
export function fromPool(pool: string): { readonly annotations: Readonly<Record<string, string>> } {
  return { annotations: { "metallb.universe.tf/address-pool": pool } };
}

/** The addresses in the status of a Service. */
export async function addressesOf(api: ApiClient, name: string): Promise<readonly string[]> {
  const service = await api.get({ apiVersion: "v1", kind: "Service", metadata: { namespace: "default", name } });
  const { loadBalancer } = (service?.status ?? {}) as { loadBalancer?: { ingress?: { ip: string }[] } };
  return (loadBalancer?.ingress ?? []).map(({ ip }) => ip);
}

/** The Services of type LoadBalancer with each address at this moment: address -> names. */
export async function holdersOf(api: ApiClient): Promise<Map<string, string[]>> {
  const services = (await api.list("v1", "Service")) as unknown as readonly ListedService[];
  const pairs = services
    .filter(({ spec }) => spec?.type === "LoadBalancer")
    .flatMap(({ metadata: { namespace = "", name }, status }) =>
      (status?.loadBalancer?.ingress ?? []).map(({ ip }) => ({ ip, service: `${namespace}/${name}` })),
    );
  const holders = Map.groupBy(pairs, ({ ip }) => ip);
  return new Map([...holders].map(([ip, all]) => [ip, all.map(({ service }) => service)]));
}

interface ListedService {
  readonly metadata: { readonly namespace?: string; readonly name: string };
  readonly spec?: { readonly type?: string };
  readonly status?: { readonly loadBalancer?: { readonly ingress?: readonly { readonly ip: string }[] } };
}

/** Tries again and again, as people do while their API is away: an act that is not undone would be the next fault. */
export async function persistently<T>(what: string, act: () => Promise<T>): Promise<T> {
  const { done } = await waitFor(what, async () => ({ done: await act() }), { timeout: 120_000, every: 500 });
  return done;
}

/** Acts that every target can do. */
export const shared: readonly What["type"][] = [
  "isolate",
  "unplug",
  "cutApi",
  "cutPair",
  "cutOneWay",
  "lose",
  "impair",
  "isolateControlPlane",
  "killRouter",
  "freezeRouter",
  "refusedConfiguration",
  "otherConfiguration",
  "moreServices",
  "fillPool",
  "rotateKey",
  "deleteLease",
  "deleteState",
  "edit",
  "killSpeaker",
  "stopSpeaker",
  "stallSpeaker",
  "killController",
  "stallController",
];

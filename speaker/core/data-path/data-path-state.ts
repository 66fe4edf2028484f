import type { Millis } from "#pkg/clock";
import type { PathSign } from "#pkg/gossip";
import type { Address, Family } from "#pkg/net";

/** Signs that a node cannot deliver to Pods: for one of the ring's it counts whether nodes were once without it. */
export const pathFaultNames = [
  // The kernel forwards no packets.
  "forwardingOff",
  // The kernel drops packets, because its table of connections is full.
  "conntrackFull",
  // The kernel has no route of its own to the node's Pods.
  "noPodRoute",
  // The kernel takes no IPv6 packets from the LAN, whose NIC has no IPv6 any more.
  "ipv6Off",
  // kube-proxy, or what does its work, does not say that it is healthy.
  "proxySilent",
  // Services that answered before do not answer connections of this node; one tenant cannot bring that about.
  "noConnection",
] as const satisfies readonly (PathSign | "conntrackFull" | "ipv6Off")[];
export type PathFault = (typeof pathFaultNames)[number];
export type PathFaults = Readonly<Record<Family, readonly PathFault[]>>;

/** One family's. */
export interface DataPath {
  readonly since: Map<PathFault, Millis>; // fault that this node has -> since when
  /** Signs that it has had since its speaker started: they count while most other nodes were seen without them. Else nodes here work in another way. */
  readonly original: Set<PathFault>;
  /** The node's settings were looked at. */
  isSeen: boolean;
  /** All signs that it had then, counted or not. */
  signs: readonly PathFault[];
  /** The faults for which it counts as unable to deliver; empty while it counts as able. */
  broken: readonly PathFault[];
  brokenSince: Millis;
  /** It has none of the faults since then; Infinity while it has one. */
  healthySince: Millis;
  /** How long it has to be healthy before it counts as able again. */
  holdMs: Millis;
  /** When it last counted as able again. */
  returnedAt: Millis;
  dueAt: Millis;
  readonly tests: ConnectionTests;
}

/** For which a node is to be well before it counts as able again: at first, and at most. */
export const minHoldMs: Millis = 30_000;
export const maxHoldMs: Millis = 600_000;

export interface DataPaths extends Readonly<Record<Family, DataPath>> {
  /** The connections before this speaker begins: undefined until they are tried. */
  first: { readonly until: Millis } | "over" | undefined;
  /** Some pool asks for connections, of the configurations that were read; undefined before any was. */
  isWanted: boolean | undefined;
  /** Which Service is looked at next as one to try, in which family: two for each Service. */
  scan: number;
  /** When Services are looked at next. */
  freshAt: Millis;
  /** For each family a NIC that its own settings keep from passing packets on. */
  nics: Readonly<Partial<Record<Family, string | undefined>>>;
  /** The node has interfaces to Pods, as far as it lacks a route to them. */
  hasPods: boolean;
}

export function noDataPaths(): DataPaths {
  return {
    IPv4: noDataPath(),
    IPv6: noDataPath(),
    first: undefined,
    isWanted: undefined,
    scan: 0,
    freshAt: -Infinity,
    nics: {},
    hasPods: false,
  };
}

function noDataPath(): DataPath {
  return {
    since: new Map(),
    original: new Set(),
    isSeen: false,
    signs: [],
    broken: [],
    brokenSince: Infinity,
    healthySince: -Infinity,
    holdMs: minHoldMs,
    returnedAt: -Infinity,
    dueAt: Infinity,
    tests: noTests(),
  };
}

export interface ConnectionTarget {
  readonly key: string;
  readonly address: string;
  readonly port: number;
  /** The Service has a ready Pod on this node, which its policies, or those of its Pods, may ask for. */
  readonly isHere: boolean;
}

/** A connection to try. */
export interface ConnectionTest {
  readonly family: Family;
  /** A Service's cluster IP, or the API's Service; undefined where none of the Services that were looked at can be tried. */
  readonly to: ConnectionTarget | "api" | undefined;
  /** Which Service is looked at after that: see `DataPaths.scan`. */
  readonly scan: number;
  /** Its silence may decide, since others are silent. */
  readonly isSuspect: boolean;
  /** Nothing is known of the Service. */
  readonly isFresh: boolean;
  /** Other tests that begin at the same time, and decide with it. */
  readonly beside?: readonly ConnectionTest[];
}

/** `untried`: the attempt said nothing, because this speaker stood still or could not begin it, or because there is no such address of the family. */
export type ConnectionResult = "answered" | "silent" | "untried";

/** A Service's health check port says this: kube-proxy sends packets to a Pod of this node, or to none; or it does not answer. */
export type HealthAnswer = "serves" | "serves none" | "silent";

interface Known {
  readonly triedAt: Millis;
  readonly answeredAt: Millis;
}

interface KnownService extends Known {
  /** When it answered it had a ready Pod on this node. */
  readonly wasHere: boolean;
  /** It has been silent since, while it had none. */
  readonly hasMoved: boolean;
}

export interface ConnectionTests {
  readonly sample: Map<string, KnownService>; // key of a Service that answered -> the last tests of it
  /** Names of Services that did not answer since a Service last did, one for each namespace; `apiService` for the API's. */
  silent: readonly string[];
  /** When a Service was silent last that had answered the time before. */
  silentSince: Millis;
  /** Services that were silent before any answered. Once all have been tried, one of them is here twice. */
  silentAtFirst: readonly string[];
  /** The API's Service. */
  api: Known;
  /** When anything was tried last. */
  triedAt: Millis;
  /** When any Service answered last. */
  answeredAt: Millis;
}

function noTests(): ConnectionTests {
  const never = { triedAt: -Infinity, answeredAt: -Infinity };
  return { sample: new Map(), silent: [], silentSince: Infinity, silentAtFirst: [], api: never, ...never };
}

/** A Service of which kube-proxy says that it has no Pod here. */
export interface Unserved {
  addresses: readonly Address[];
  /** Since when it says so each time. */
  since: Millis;
  triedAt: Millis;
  /** Others are to take its addresses over. */
  isLeft: boolean;
  /** It serves the Service again since then; Infinity while it does not. */
  servedSince: Millis;
  /** For which it has to, before the node counts as able again. */
  holdMs: Millis;
}

export interface HealthPorts {
  /** Some port has said that there is a Pod. */
  isSeen: boolean;
  readonly unserved: Map<string, Unserved>; // key of a Service
}

export function noHealthPorts(): HealthPorts {
  return { isSeen: false, unserved: new Map() };
}

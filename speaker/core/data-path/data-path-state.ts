import type { Millis } from "#pkg/clock";

/** Signs that a node cannot deliver to Pods. */
export const pathFaultNames = [
  // The kernel forwards no IPv4 packets.
  "forwardingOff",
  // The kernel drops packets, because its table of connections is full.
  "conntrackFull",
  // The kernel has no route of its own to the node's Pods.
  "noPodRoute",
  // kube-proxy does not say that it is healthy.
  "proxySilent",
  // Services that answered before do not answer connections of this node; one tenant cannot bring that about.
  "noConnection",
] as const;
export type PathFault = (typeof pathFaultNames)[number];

export interface DataPath {
  readonly since: Map<PathFault, Millis>; // fault that this node has -> since when
  /** Faults that it has had since its speaker started: perhaps it does its work in another way. */
  readonly ignored: Set<PathFault>;
  /** The node's settings were looked at. */
  isSeen: boolean;
  /** The faults for which it counts as unable to deliver; empty while it counts as able. */
  broken: readonly PathFault[];
  brokenSince: Millis;
  /** It has none of the faults since then; Infinity while it has one. */
  healthySince: Millis;
  /** How long it has to be healthy before it counts as able again. */
  holdMs: Millis;
  /** When it last counted as able again. */
  returnedAt: Millis;
  /** When the next of all this is decided. */
  dueAt: Millis;
  readonly tests: ConnectionTests;
}

export const minHoldMs: Millis = 30_000;

export function noDataPath(): DataPath {
  return {
    since: new Map(),
    ignored: new Set(),
    isSeen: false,
    broken: [],
    brokenSince: Infinity,
    healthySince: -Infinity,
    holdMs: minHoldMs,
    returnedAt: -Infinity,
    dueAt: Infinity,
    tests: noTests(),
  };
}

/** A connection to try: to a Service, or to the API's. */
export interface ConnectionTest {
  /** Undefined for the API's. */
  readonly service: { readonly key: string; readonly address: string; readonly port: number } | undefined;
  /** Which Service is looked at next as one to try. */
  readonly scan: number;
}

/** `untried`: the attempt said nothing, because this speaker stood still meanwhile, or because the Service is not known. */
export type ConnectionResult = "answered" | "silent" | "untried";

interface Known {
  readonly triedAt: Millis;
  readonly answeredAt: Millis;
}

export interface ConnectionTests {
  readonly sample: Map<string, Known>; // key of a Service that answered -> the last tests of it
  /** Names of Services that did not answer since a Service last did, one for each namespace; `apiService` for the API's. */
  silent: readonly string[];
  silentSince: Millis;
  /** The API's Service. */
  api: Known;
  /** When any Service answered last. */
  answeredAt: Millis;
  scan: number;
  /** When a Service was tried last that was not in the sample. */
  freshAt: Millis;
}

export function noTests(): ConnectionTests {
  const api = { triedAt: -Infinity, answeredAt: -Infinity };
  return { sample: new Map(), silent: [], silentSince: Infinity, api, answeredAt: -Infinity, scan: 0, freshAt: -Infinity };
}

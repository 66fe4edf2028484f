import type { Address, Prefix } from "#pkg/net";
import { AddressSets } from "./address-sets.ts";
import type { Candidates } from "./codec/candidates-codec.ts";
import type { Link } from "./codec/link-codec.ts";
import type { ToldTraits } from "./codec/traits-codec.ts";
import type { AddressSetName, DataPathReport, Fault, NodeSummary, PoolDeliveries, View } from "./codec/value-codec.ts";

/** Where a node can announce addresses that have one owner, as it reports itself. */
export interface Reachability {
  /** It has an interface that can answer and has a carrier. */
  readonly answers: boolean;
  /** It may change the addresses of its kernel. */
  readonly hasKernelAccess: boolean;
  /** These interfaces by name, with their subnets; only interfaces with a subnet, or that a pool asks for by name. */
  readonly interfaces: ReadonlyMap<string, readonly Prefix[]>;
}

export interface ReportedNode {
  /** See `GossipStore`. */
  life: number;
  summary: NodeSummary | undefined;
  /** All has arrived that it announced when it reported that its view is not current. */
  isAnnouncedKnown: boolean;
  readonly interfaces: Map<string, readonly Prefix[]>;
  /** Undefined for a node that does not report it, as one of an earlier version. */
  deliveries: PoolDeliveries | undefined;
  readonly faults: Map<string, Fault>; // key of its entry -> fault
  /** Undefined for a node that does not tell them, as one of an earlier version. */
  traits: ToldTraits | undefined;
  /** Made of summary and interfaces when it is asked for. */
  reachability: Reachability | undefined;
}

/** All reports of the speakers, this one's own among them. */
export interface GossipData {
  readonly nodes: Map<string, ReportedNode>; // node -> what it reports
  readonly since: Map<string, number>; // node -> the incarnation from which its summary counts; infinite while it is failed
  readonly links: Map<string, readonly Link[]>; // node -> its interfaces; also of nodes that left
  readonly sets: Readonly<Record<AddressSetName, AddressSets>>;
  readonly candidates: Map<string, Map<string, ReadonlyMap<string, Candidates>>>; // node that tells them -> page -> address -> candidates
  readonly entries: Map<string, Uint8Array>; // key -> value; of this node, and not taken yet
  readonly changedPages: Set<string>; // Pages of this node that are not among the entries yet.
  readonly repeated: Set<string>; // keys of entries of this node to be broadcast once more
  contested: readonly Address[]; // Owned by this node and others when its view uncertainty was reported.
  answers: boolean;
  hasKernelAccess: boolean;
  viewUncertainty: number;
  view: View;
  dataPath: DataPathReport;
  seenWithout: number; // See `seenWithoutBits`.
  incarnation: number;
  isParticipating: boolean;
}

export function nothingReported(): GossipData {
  return {
    nodes: new Map(),
    since: new Map(),
    sets: {
      owned: new AddressSets(),
      asked: new AddressSets(),
      announced: new AddressSets(),
      advertised: new AddressSets(),
      serving: new AddressSets(),
      undelivered: new AddressSets(),
    },
    candidates: new Map(),
    links: new Map(),
    entries: new Map(),
    changedPages: new Set(),
    repeated: new Set(),
    contested: [],
    answers: false,
    hasKernelAccess: true,
    viewUncertainty: 0,
    view: "current",
    dataPath: "delivers",
    seenWithout: 0,
    incarnation: 0,
    isParticipating: false,
  };
}

/** The node's report; an empty one for an unknown node. */
export function reportOf({ nodes }: GossipData, node: string): ReportedNode {
  const known = nodes.get(node);
  if (known !== undefined) return known;
  const report = newReport(0);
  nodes.set(node, report);
  return report;
}

/** A node that reports nothing yet in this life. */
export function newReport(life: number): ReportedNode {
  return {
    life,
    summary: undefined,
    isAnnouncedKnown: false,
    interfaces: new Map(),
    deliveries: undefined,
    faults: new Map(),
    traits: undefined,
    reachability: undefined,
  };
}

/** Whether the node's reports count: it sent a summary since it joined. */
export function isParticipating({ nodes, since }: GossipData, node: string): boolean {
  const incarnation = nodes.get(node)?.summary?.incarnation;
  return incarnation !== undefined && incarnation >= (since.get(node) ?? 0);
}

import type { Millis } from "#pkg/clock";
import type { Pool } from "#pkg/config";
import type { Address } from "#pkg/net";
import type { Labels, PoolNodes } from "#pkg/placement";
import type { NodeFields } from "../events.ts";

/** When a speaker leaves it to the others to tell their labels and taints. */
export interface OwnNodeRule {
  /** From that many members on, and at the start from that many Nodes on. In a small cluster the Nodes cost little, and are followed as MetalLB does. */
  readonly fromMembers: number;
  /** Members that tell no traits are followed one by one, up to so many: each costs a request every five to ten minutes. */
  readonly maxUntold: number;
  /** There have to be enough members that tell theirs for so long: a ring grows at once. */
  readonly afterMs: Millis;
  /** At the start, members that send gossip have so long to tell theirs since the last of them was met, or has told... */
  readonly startMs: Millis;
  /** ...and all together so long. */
  readonly mostStartMs: Millis;
  /** Speakers do not ask the API all in one moment. */
  readonly jitterMs: Millis;
}

export const ownNodeRule: OwnNodeRule = {
  fromMembers: 100,
  maxUntold: 8,
  afterMs: 60_000,
  startMs: 2_000,
  mostStartMs: 60_000,
  jitterMs: 10_000,
};

/** Labels and taints of nodes, as the API has them or their speakers tell, and what follows from them and from where nodes can answer; kept until any of it changes. */
export interface Nodes {
  readonly labels: Map<string, Labels>; // node -> its labels
  readonly taints: Map<string, readonly string[]>; // node -> keys of its taints
  readonly cordoned: Set<string>; // Nodes that are cordoned or about to go.
  readonly addresses: Map<string, readonly Address[]>; // node -> its InternalIPs, where the API was asked for them
  /** Of this node. */
  annotations: Readonly<Record<string, string>>;
  /** Addresses that flannel takes for this node's own. */
  flannelAddresses: readonly string[];
  /** Networks of this node's Pods. */
  podCIDRs: readonly string[];
  readonly followed: FollowedNodes;
  readonly pools: Map<Pool, PoolNodes>; // those that were asked for
}

/** Nodes whose labels and taints come from the API, and not from what their speakers tell. */
export interface FollowedNodes {
  readonly rule: OwnNodeRule;
  names: "all" | readonly string[];
  readonly seen: Map<string, NodeFields>; // Node that the API has, of those that are followed -> what the API has of it
  /** All that the API has of them has been seen. */
  isWhole: boolean;
  /** Failed members whose taints count, because they may be cut off. */
  readonly asked: Set<string>;
  /** Nodes among them whose speakers were believed while this node did not see the API. */
  readonly overheard: Set<string>;
  /** When others are followed; Infinity for never. */
  dueAt: Millis;
  /** At the start: the most members that were met, and that had told their labels, together; and until when the others are awaited. */
  mostMet: number;
  awaitedUntil: Millis;
}

/** Nothing is known of any node; all are followed. */
export function noNodes(rule: OwnNodeRule): Nodes {
  return {
    labels: new Map(),
    taints: new Map(),
    cordoned: new Set(),
    addresses: new Map(),
    annotations: {},
    flannelAddresses: [],
    podCIDRs: [],
    followed: {
      rule,
      names: "all",
      seen: new Map(),
      isWhole: false,
      asked: new Set(),
      overheard: new Set(),
      dueAt: Infinity,
      mostMet: 0,
      awaitedUntil: Infinity,
    },
    pools: new Map(),
  };
}

import type { GossipState } from "#pkg/gossip";

/** Which nodes have a working speaker: the ones that may own addresses. */
export interface Members extends AsyncDisposable {
  /** To be called once this node could own addresses: from then on others may count on it. */
  start(): void;
  /** False until the first answer is there; nothing is announced before. */
  readonly synced: boolean;
  /** Node names, each once, sorted. */
  active(): readonly string[];
  /** How they gossip; undefined where they have no way to. */
  readonly gossip: Gossip | undefined;
  /** For people: `/v1/members`. */
  describe(): MembersDescription;
}

export interface Gossip {
  readonly state: GossipState;
  /** Active members that send no gossip, because they are of another kind; sorted. */
  nodesWithoutGossip(): readonly string[];
  /** Broadcasts what changed since the last call. */
  flush(): void;
  /** There is no such node any more. */
  forget(node: string): void;
}

export interface MembersDescription {
  /** Where the answer comes from: the speakers' ring, or the readiness of their Pods. */
  readonly source: "memberlist" | "pods";
  /** At which pace the ring looks for failures. */
  readonly timing?: "lan" | "fast";
  readonly members: readonly {
    readonly node: string;
    readonly addresses: readonly string[];
    readonly status: string;
    readonly active: boolean;
  }[];
}

import type { OwnEntry } from "#pkg/gossip";
import type { InterfaceState } from "#pkg/layer2";

/** The nodes that have a working speaker: they may own addresses. */
export interface Members extends AsyncDisposable {
  /** To be called once this node could own addresses: from then on others may count on it. @param isLarge see `startMembers` */
  start(isLarge: boolean): void;
  /** False until the first answer is there; nothing is announced before. With each change comes an event `members`. */
  readonly synced: boolean;
  /** Why it is not synced, or not in the ring of the others any more, and what to do, where that takes somebody. */
  readonly problem: string | undefined;
  /** Nodes that this one reaches over TCP or by way of others alone: UDP between the two is lost. */
  readonly lossy: readonly string[];
  /** All of this node's: the others know by their MAC addresses whose frames they see. */
  setInterfaces(interfaces: readonly InterfaceState[]): void;
  /** Reports these entries of this node to the others; they replace earlier entries under the same keys. */
  setGossip(entries: readonly OwnEntry[]): void;
  /** Forgets what a node has reported that will not be back. */
  forgetGossip(node: string): void;
  /** Exchanges all gossip with a member, some of whose may not have arrived. */
  pullGossip(node: string): void;
  /** This node announces what it is to: others leave its addresses to it from now on. */
  started(): void;
  /** For people: `/v1/members`. */
  describe(): Promise<MembersDescription>;
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
    /** Milliseconds that its last direct answer to a ping took. */
    readonly roundTripMs?: number;
  }[];
}

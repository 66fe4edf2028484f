import type { Reports } from "#pkg/placement";

/** Which nodes have a working speaker: the ones that may own addresses. */
export interface Members extends AsyncDisposable {
  /** To be called once this node could own addresses: from then on others may count on it. */
  start(): void;
  /** False until the first answer is there; nothing is announced before. */
  readonly synced: boolean;
  /** Node names, each once, sorted. */
  active(): readonly string[];
  /** How they tell one another of themselves; undefined where they have no way to. */
  readonly exchange: Exchange | undefined;
  /** For people: `/v1/members`. */
  describe(): MembersDescription;
}

export interface Exchange {
  readonly reports: Reports;
  /** Active members that tell nothing, because they are of another kind; sorted. */
  silent(): readonly string[];
  /** Sends to the others what was reported since the last call. */
  tell(): void;
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

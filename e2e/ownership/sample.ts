import type { Millis } from "#pkg/clock";

/** How things stood at one moment. Nodes and addresses are texts. A history is samples in the order of their time. */
export interface Sample {
  readonly at: Millis;
  /** The wire: address -> nodes that answer for it. */
  readonly answers: ReadonlyMap<string, readonly string[]>;
  /** Address -> nodes that may announce it, whether they run or not. */
  readonly candidates: ReadonlyMap<string, readonly string[]>;
  /** Each node that runs and is not held up -> the nodes with which it can talk both ways. */
  readonly hears: ReadonlyMap<string, readonly string[]>;
  /** Node -> those that it takes for members of its ring, itself among them. A node without an entry did not say. */
  readonly members: ReadonlyMap<string, readonly string[]>;
  /** Node -> address -> the owner in its view. A node without an entry did not say. */
  readonly owners: ReadonlyMap<string, ReadonlyMap<string, string | undefined>>;
}

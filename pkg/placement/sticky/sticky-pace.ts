import type { Millis } from "#pkg/clock";

// For speakers that start together, or see a new configuration one after another.
const holdMs: Millis = 1_000;
// Longer than one node is away while all are restarted in turn: what it had is not to go back and forth.
const restMs: Millis = 5 * 60_000;

/** How readily addresses that stay where they are go to other nodes. */
export type RebalancePolicy =
  /**
   * Leaves alone the addresses of nodes that are about to own them again, and addresses that may go to nodes that are about to
   * participate.
   */
  | "hold"
  /** Gives away what this node has beyond two shares. */
  | "limit"
  /** The nodes have been the same for long: gives away what this node has beyond its share and one more. */
  | "even";

/** Decides when each policy is in force. */
export class StickyPace {
  private holdUntil: Millis = -Infinity;
  private restAt: Millis = Infinity;
  private nodesChangedAt: Millis = -Infinity;
  private policy: RebalancePolicy = "limit";

  /** The policy in force. */
  get inForce(): RebalancePolicy {
    return this.holdUntil === -Infinity ? this.policy : "hold";
  }

  /** When `timer` has something to do. */
  get nextDeadline(): Millis {
    return Math.min(this.restAt, this.holdUntil === -Infinity ? Infinity : this.holdUntil);
  }

  hold(now: Millis): void {
    if (this.holdUntil === -Infinity) this.holdUntil = now + holdMs;
  }

  nodesChanged(now: Millis): void {
    this.nodesChangedAt = now;
    this.policy = "limit";
    if (this.restAt === Infinity) this.restAt = now + restMs;
  }

  /** @returns whether the policy is another one */
  timer(now: Millis): boolean {
    const before = this.inForce;
    if (now >= this.holdUntil) this.holdUntil = -Infinity;
    if (now >= this.restAt) {
      if (now - this.nodesChangedAt >= restMs) this.policy = "even";
      this.restAt = this.policy === "even" ? Infinity : this.nodesChangedAt + restMs;
    }
    return this.inForce !== before;
  }
}

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

interface PaceData {
  holdUntil: Millis;
  restAt: Millis;
  nodesChangedAt: Millis;
  policy: RebalancePolicy;
}

/** Decides when each policy is in force. */
export class StickyPace {
  readonly #at: PaceData;

  constructor(at: PaceData = { holdUntil: -Infinity, restAt: Infinity, nodesChangedAt: -Infinity, policy: "limit" }) {
    this.#at = at;
  }

  save() {
    return this.#at;
  }

  static restore(at: PaceData): StickyPace {
    return new StickyPace(at);
  }

  get policy(): RebalancePolicy {
    return this.#at.holdUntil === -Infinity ? this.#at.policy : "hold";
  }

  /** When `timer` has something to do. */
  get nextDeadline(): Millis {
    return Math.min(this.#at.restAt, this.#at.holdUntil === -Infinity ? Infinity : this.#at.holdUntil);
  }

  hold(now: Millis): void {
    if (this.#at.holdUntil === -Infinity) this.#at.holdUntil = now + holdMs;
  }

  nodesChanged(now: Millis): void {
    this.#at.nodesChangedAt = now;
    this.#at.policy = "limit";
    if (this.#at.restAt === Infinity) this.#at.restAt = now + restMs;
  }

  /** @returns whether the policy is another one */
  timer(now: Millis): boolean {
    const before = this.policy;
    if (now >= this.#at.holdUntil) this.#at.holdUntil = -Infinity;
    if (now >= this.#at.restAt) {
      if (now - this.#at.nodesChangedAt >= restMs) this.#at.policy = "even";
      this.#at.restAt = this.#at.policy === "even" ? Infinity : this.#at.nodesChangedAt + restMs;
    }
    return this.policy !== before;
  }
}

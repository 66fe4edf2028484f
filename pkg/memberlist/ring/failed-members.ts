import type { Millis } from "#pkg/clock";
import type { Endpoint, NodeName } from "../codec/messages.ts";

/** A member that failed: it may live behind a network that was cut, and is asked now and then, also when its record is forgotten. */
export interface Lost {
  readonly node: NodeName;
  readonly endpoint: Endpoint;
  readonly since: Millis;
  /** Of the last ping to it; undefined before there is one. */
  sequence: number | undefined;
}

/** One that answers tells of all others, so that it takes but a few of a large ring. */
const lostMost = 100;
/** Later, only who joins brings it back. */
const lostFor: Millis = 600_000;

/** Those that failed most recently, the one to ask next first. */
export class LostMembers {
  readonly #lost = new Map<NodeName, Lost>();

  get size(): number {
    return this.#lost.size;
  }

  add(node: NodeName, endpoint: Endpoint, now: Millis): void {
    this.#lost.set(node, { node, endpoint, since: now, sequence: undefined });
    if (this.#lost.size <= lostMost) return;
    const [oldest] = [...this.#lost.values()].sort((a, b) => a.since - b.since);
    if (oldest !== undefined) this.#lost.delete(oldest.node);
  }

  delete(node: NodeName): void {
    this.#lost.delete(node);
  }

  /** Takes each in turn; those that failed too long ago are forgotten. */
  next(now: Millis): Lost | undefined {
    for (const lost of this.#lost.values()) {
      this.#lost.delete(lost.node);
      if (now - lost.since > lostFor) continue;
      this.#lost.set(lost.node, lost);
      return lost;
    }
    return undefined;
  }

  asked(sequence: number): Lost | undefined {
    for (const lost of this.#lost.values()) if (lost.sequence === sequence) return lost;
    return undefined;
  }
}

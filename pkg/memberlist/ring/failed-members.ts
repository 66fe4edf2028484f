import type { Millis } from "#pkg/clock";
import type { Endpoint, NodeName } from "../codec/messages.ts";
import type { NodeRecord } from "./node-record.ts";

/** A member that failed: it may live behind a network that was cut, and is pinged now and then, also when its record is forgotten. */
export interface FailedMember extends Readonly<Pick<NodeRecord, "node" | "endpoint" | "since">> {
  /** Number of the last ping to it; undefined before the first. */
  sequence: number | undefined;
}

/** One that answers lists all others, so that a few of a large ring suffice. */
const maxFailed = 100;
/** Later, only who joins brings it back. */
const reconnectTimeout: Millis = 600_000;

/** The members that failed most recently, the next to ping first. */
export class FailedMembers {
  readonly #failed = new Map<NodeName, FailedMember>();

  get size(): number {
    return this.#failed.size;
  }

  add(node: NodeName, endpoint: Endpoint, now: Millis): void {
    this.#failed.set(node, { node, endpoint, since: now, sequence: undefined });
    if (this.#failed.size <= maxFailed) return;
    const [oldest] = [...this.#failed.values()].sort((a, b) => a.since - b.since);
    if (oldest !== undefined) this.#failed.delete(oldest.node);
  }

  delete(node: NodeName): void {
    this.#failed.delete(node);
  }

  /** Takes each in turn; those that failed too long ago are forgotten. */
  next(now: Millis): FailedMember | undefined {
    for (const member of this.#failed.values()) {
      this.#failed.delete(member.node);
      if (now - member.since > reconnectTimeout) continue;
      this.#failed.set(member.node, member);
      return member;
    }
    return undefined;
  }

  bySequence(sequence: number): FailedMember | undefined {
    for (const member of this.#failed.values()) if (member.sequence === sequence) return member;
    return undefined;
  }
}

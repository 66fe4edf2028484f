import type { Millis, Random } from "#pkg/clock";
import type { Endpoint, NodeName } from "../codec/messages.ts";
import { randomIndex } from "./choice.ts";
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

  /** Its turn comes by chance. Else all members would first ping those that are gone for good, and then those behind a cut. */
  add(node: NodeName, endpoint: Endpoint, now: Millis, random: Random): void {
    this.#failed.delete(node);
    const others = [...this.#failed.values()];
    const oldest = others.length < maxFailed ? undefined : others.toSorted((a, b) => a.since - b.since)[0];
    others.splice(randomIndex(random, others.length + 1), 0, { node, endpoint, since: now, sequence: undefined });
    this.#failed.clear();
    for (const member of others) if (member !== oldest) this.#failed.set(member.node, member);
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

import type { Millis } from "#pkg/clock";
import type { Ack, Endpoint, NodeName } from "../codec/messages.ts";
import { sendDirect } from "./broadcasts.ts";
import { openPushPull } from "./push-pull.ts";
import { isMember, nextSequence, ownPing, type Ring } from "./ring.ts";

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

/** How much slower a member is asked for each millisecond since it failed: once in 2.5 s after ten minutes. */
const patience = 1 / 240;

/**
 * Asks one of the members that failed, each in its turn, whether it is back. Where a network was cut, it is enough that any node of
 * one side reaches any of the other, so that those who are many need not ask as often each.
 */
export function askLost(ring: Ring, now: Millis): void {
  const lost = ring.leave === "none" ? ring.lost.next(now) : undefined;
  ring.askAt = Infinity;
  if (lost === undefined) return;
  lost.sequence = nextSequence(ring);
  sendDirect(ring, lost.endpoint, ownPing(ring, lost.sequence, lost.node));
  const { askInterval, askSpread } = ring.timing;
  const shared = askSpread * ring.order.filter(isMember).length;
  const interval = Math.max(askInterval, shared, (now - lost.since) * patience);
  ring.askAt = now + interval * (0.5 + ring.options.random()); // By chance, so that not all nodes ask together.
}

/** One that failed answers: both sides compare what they know, so that each learns that it was taken for dead, and refutes. */
export function onLostAck(ring: Ring, { sequence }: Ack, now: Millis): void {
  const lost = ring.lost.asked(sequence);
  if (lost === undefined) return;
  lost.sequence = undefined;
  ring.askAt = now + ring.timing.suspicionFloor + ring.timing.askInterval; // Those on its side have this long to refute.
  openPushPull(ring, { type: "pushPull", to: lost.endpoint }, lost.endpoint, now);
}

import type { Millis } from "#pkg/clock";
import type { Ack } from "../messages.ts";
import { openPushPull } from "./exchanging.ts";
import { isMember, nextSequence, ownPing, type Ring } from "./ring.ts";
import { sendDirect } from "./sending.ts";

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

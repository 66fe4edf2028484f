import type { Millis } from "#pkg/clock";
import type { Alive, Dead, Endpoint } from "../codec/messages.ts";
import { type Newcomer, nextSequence, ownPing, type Ring } from "./ring.ts";
import { pingOnStream, pingThroughOthers, sendToNode } from "./sending.ts";

/**
 * Nodes that others call alive and that were no node of this ring: somebody may have captured a message of a node that is long gone. A
 * newcomer counts as a node once it has answered a ping. Peers believe it at once, and find out by their next probes.
 */

/**
 * The wait until the second ping to a newcomer; each further wait is twice as long. In a large ring all members ask a new member at once,
 * and it may be busy answering. After the last ping the newcomer is asked again when somebody calls it alive again.
 */
const askAgainAfter: Millis = 500;
const maxAsked = 4;

/** Pings one that is said to be alive. While that goes on only what is newer of it counts. */
export function askNewcomer(ring: Ring, alive: Alive, endpoint: Endpoint, now: Millis): void {
  const known = ring.newcomers.get(alive.node);
  if (known !== undefined && known.alive.incarnation >= alive.incarnation) return;
  const newcomer = { alive, endpoint, sequence: nextSequence(ring), asked: 0, askAt: now };
  ring.newcomers.set(alive.node, newcomer);
  ask(ring, newcomer, now);
}

/** When `askAgain` is due. */
export function askAgainAt({ newcomers }: Ring): Millis {
  let next = Infinity;
  for (const { askAt } of newcomers.values()) next = Math.min(next, askAt);
  return next;
}

/** Pings those once more that have not answered, also through others and on a stream: the direct way may be cut, or lose packets. */
export function askAgain(ring: Ring, now: Millis): void {
  for (const newcomer of ring.newcomers.values()) {
    if (now < newcomer.askAt) continue;
    if (newcomer.asked >= maxAsked) ring.newcomers.delete(newcomer.alive.node);
    else ask(ring, newcomer, now);
  }
}

function ask(ring: Ring, newcomer: Newcomer, now: Millis): void {
  const { alive, endpoint, sequence, asked } = newcomer;
  const { node, versions } = alive;
  newcomer.asked++;
  newcomer.askAt = now + askAgainAfter * 2 ** asked;
  if (asked === 0) ring.effects.push({ type: "asks", endpoint });
  sendToNode(ring, { endpoint, versions }, [ownPing(ring, sequence, node)]); // Other queued messages are not for a node that may not exist.
  if (asked === 0) return;
  pingThroughOthers(ring, sequence, { node, endpoint });
  if (asked === 1) pingOnStream(ring, sequence, { node, endpoint, versions }, now + 2 * askAgainAfter);
}

/** @returns what was said of the one that answers; undefined where the answer is to none of these pings */
export function answeredBy({ newcomers }: Ring, sequence: number): Alive | undefined {
  return newcomers.values().find((newcomer) => newcomer.sequence === sequence)?.alive;
}

/** It has left: later answers are no reason to take it in. @returns whether it was being asked */
export function endAsking({ newcomers, forgotten }: Ring, { node, incarnation }: Dead): boolean {
  const newcomer = newcomers.get(node);
  if (newcomer === undefined || incarnation < newcomer.alive.incarnation) return false;
  newcomers.delete(node);
  forgotten.set(node, incarnation);
  return true;
}

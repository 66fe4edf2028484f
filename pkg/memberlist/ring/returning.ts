import type { Millis } from "#pkg/clock";
import type { Ack, Alive, Endpoint } from "../codec/messages.ts";
import { chooseRandom } from "./choice.ts";
import { nextSequence, ownPing, type Ring, sourceOf } from "./ring.ts";
import { sendDirect } from "./sending.ts";

/** Pings one that is said to be back, also through others, as the direct way may be cut. */
export function askWhetherBack(ring: Ring, alive: Alive, endpoint: Endpoint, now: Millis): void {
  const { node } = alive;
  if (!ring.forgotten.mayAsk(node, now)) return;
  const sequence = nextSequence(ring);
  ring.forgotten.asked({ sequence, alive, askedAt: now });
  sendDirect(ring, endpoint, ownPing(ring, sequence, node));
  const request = { type: "indirectPing", sequence, node, target: endpoint, nack: false, source: sourceOf(ring) } as const;
  const others = chooseRandom(
    ring.order,
    ring.timing.indirectChecks,
    (record) => record !== ring.self && record.status === "alive",
    ring.options.random,
  );
  for (const other of others) sendDirect(ring, other.endpoint, request);
}

/** @returns what was heard of one that is back, as its answer shows, and is no longer forgotten */
export function takeReturned(ring: Ring, { sequence }: Ack): Alive | undefined {
  const alive = ring.forgotten.answered(sequence);
  if (alive !== undefined) ring.forgotten.delete(alive.node);
  return alive;
}

import type { Millis } from "#pkg/clock";

/** How a node fares that has lost all others. */
export interface Alone {
  /** Since when others are Ready and none of them is in its ring; undefined while that is not the case. */
  readonly since: Millis | undefined;
  /** From then on the node counts as ready all the same; `Infinity` while others are Ready. */
  readonly readyAgainAt: Millis;
}

export interface Seen {
  /** Whether other speakers are Ready, none of which is in this node's ring. */
  readonly areOthersReady: boolean;
  readonly isInRing: boolean;
  /** How many of the others come before this node, by their names. */
  readonly turn: number;
}

// A node that has lost all others waits so long: until then the API may still show others as Ready that are gone.
const aloneMs: Millis = 10_000;
// Longer than until a probe of the first one is seen by the others.
const turnMs: Millis = 20_000;
const maxTurns = 10;

export const notAlone: Alone = { since: undefined, readyAgainAt: Infinity };

/**
 * Where the ring's port is blocked everywhere, all nodes are alone, and none is Ready. If each were ready again because the others are not, all would
 * be at once, and alone again, for ever. So they take turns: the first by name is ready first, and the others stay as they are while it is.
 */
export function noteAlone(before: Alone, { areOthersReady, isInRing, turn }: Seen, now: Millis): Alone {
  if (areOthersReady) return { since: before.since ?? now, readyAgainAt: Infinity };
  if (isInRing || !isLongAlone(before, now)) return notAlone;
  return { ...before, readyAgainAt: Math.min(before.readyAgainAt, now + Math.min(turn, maxTurns) * turnMs) };
}

/** Whether the node is not ready because it is alone. */
export function isLongAlone({ since, readyAgainAt }: Alone, now: Millis): boolean {
  return since !== undefined && now >= since + aloneMs && now < readyAgainAt;
}

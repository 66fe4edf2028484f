import type { Millis } from "#pkg/clock";
import type { NodeName } from "../codec/messages.ts";
import type { SuspicionBounds } from "./timing.ts";

/** Somebody does not answer. It is declared dead at `deadline`, which moves closer with every further accuser. */
export interface Suspicion extends SuspicionBounds {
  readonly startedAt: Millis;
  readonly accusers: ReadonlySet<NodeName>;
  readonly deadline: Millis;
  /** Whether the accused was told by this node, shortly before the deadline. */
  readonly told: boolean;
}

export function startSuspicion(from: NodeName, bounds: SuspicionBounds, now: Millis): Suspicion {
  const timeout = bounds.confirmations < 1 ? bounds.min : bounds.max;
  return { ...bounds, startedAt: now, accusers: new Set([from]), deadline: now + timeout, told: false };
}

/** Whether one more accuser brings the deadline closer: it is not known already, and not enough accused. */
export function wantsAccuser({ accusers, confirmations }: Suspicion, from: NodeName): boolean {
  return accusers.size <= confirmations && !accusers.has(from);
}

/** @returns undefined when the accuser is not wanted */
export function confirmSuspicion(suspicion: Suspicion, from: NodeName, now: Millis): Suspicion | undefined {
  if (!wantsAccuser(suspicion, from)) return undefined;
  const { min, max, confirmations, accusers, startedAt } = suspicion;
  const raw = max - ((max - min) * Math.log(accusers.size + 1)) / Math.log(confirmations + 1);
  const timeout = Math.max(min, Math.floor(raw));
  return { ...suspicion, accusers: new Set([...accusers, from]), deadline: Math.max(now, startedAt + timeout) };
}

/** Gives back the time since `silentSince`, in which the accused could not be heard. */
export function extendSuspicion(suspicion: Suspicion, silentSince: Millis, now: Millis): Suspicion {
  const { startedAt, deadline } = suspicion;
  const silence = now - Math.max(silentSince, startedAt);
  return { ...suspicion, startedAt: startedAt + silence, deadline: deadline + silence, told: false };
}

/** When something is to be done about it: the accused is told, then declared dead. */
export function suspicionDueAt({ told, deadline, notice }: Suspicion): Millis {
  return told ? deadline : deadline - notice;
}

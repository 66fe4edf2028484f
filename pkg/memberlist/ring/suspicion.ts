import type { Millis } from "#pkg/clock";
import type { NodeName } from "../codec/messages.ts";
import type { Timing } from "./timing.ts";

/** How long a suspicion lasts. */
export interface SuspicionBounds {
  /** With all confirmations, or when there is nobody to confirm. */
  readonly min: Millis;
  /** Without a confirmation. */
  readonly max: Millis;
  /** Accusers beyond the first that bring it down to `min`. */
  readonly confirmations: number;
  /** How long before its end the accused is notified of it once more. */
  readonly notice: Millis;
}

export function suspicionBounds(timing: Timing, nodes: number): SuspicionBounds {
  const scale = Math.max(1, Math.log10(Math.max(1, nodes)));
  const scaled = (timing.suspicionMultiplier * Math.floor(scale * 1000) * timing.suspicionUnit) / 1000;
  const min = Math.max(timing.suspicionFloor, scaled);
  const wanted = timing.suspicionMultiplier - 2;
  return {
    min,
    max: timing.suspicionMaxMultiplier * min,
    confirmations: nodes - 2 < wanted ? 0 : wanted,
    notice: timing.suspicionNotice,
  };
}

/** Somebody does not answer. It is declared dead at `deadline`, which moves closer with every further accuser. */
export interface Suspicion extends SuspicionBounds {
  readonly startedAt: Millis;
  readonly accusers: ReadonlySet<NodeName>;
  readonly deadline: Millis;
  /** Whether this node notified the accused, shortly before the deadline. */
  readonly notified: boolean;
}

export function startSuspicion(from: NodeName, bounds: SuspicionBounds, now: Millis): Suspicion {
  const timeout = bounds.confirmations < 1 ? bounds.min : bounds.max;
  return { ...bounds, startedAt: now, accusers: new Set([from]), deadline: now + timeout, notified: false };
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

/** Gives back the time since `silentSince`, in which nothing could be received from the accused. */
export function extendSuspicion(suspicion: Suspicion, silentSince: Millis, now: Millis): Suspicion {
  const { startedAt, deadline } = suspicion;
  const silence = now - Math.max(silentSince, startedAt);
  return { ...suspicion, startedAt: startedAt + silence, deadline: deadline + silence, notified: false };
}

/** When something is to be done about it: the accused is notified, then declared dead. */
export function suspicionDueAt({ notified, deadline, notice }: Suspicion): Millis {
  return notified ? deadline : deadline - notice;
}

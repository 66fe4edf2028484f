/**
 * To be loaded into a process before its program (`node --import`): its monotonic clock and its timers run 30 times as fast, for what
 * takes minutes otherwise. The date does not change.
 */
const factor = 30;

const began = performance.now();
const now = performance.now.bind(performance);
performance.now = () => began + factor * (now() - began);
const { setTimeout: after } = globalThis;
globalThis.setTimeout = Object.assign(
  (callback: (...values: unknown[]) => void, ms = 0, ...values: unknown[]) => after(callback, ms / factor, ...values),
  after,
) as typeof setTimeout;

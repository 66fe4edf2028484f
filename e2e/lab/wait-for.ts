import { setTimeout as sleep } from "node:timers/promises";
import { inspect } from "node:util";

export interface WaitOptions {
  /** Milliseconds until it fails; 120,000 when unset, which only a failure takes, on a machine of any speed. */
  readonly timeout?: number;
  /**
   * Milliseconds between attempts; 20 when unset. Others get more time, up to 500: three times as long as an attempt took, or a twentieth of the
   * wait so far.
   */
  readonly every?: number;
}

const maxRest = 500;
const partOfWait = 1 / 20;

type Falsy = false | 0 | 0n | "" | null | undefined;

/**
 * Calls `attempt` until it returns something truthy, and returns that. A thrown error counts as "not yet", so that assertions can
 * be waited for.
 * @throws {Error} when time is up, saying what was waited for and the last value or error (also as `cause`)
 */
export async function waitFor<T>(
  description: string,
  attempt: () => T | Promise<T>,
  { timeout = 120_000, every = 20 }: WaitOptions = {},
): Promise<Exclude<T, Falsy>> {
  const start = performance.now();
  const deadline = start + timeout;
  for (;;) {
    let last: string;
    let cause: unknown;
    const began = performance.now();
    try {
      const value = await attempt();
      if (value) return value as Exclude<T, Falsy>;
      last = `the last value was ${inspect(value)}`;
    } catch (error) {
      cause = error;
      last = `the last attempt failed: ${error instanceof Error ? error.message : inspect(error)}`;
    }
    const now = performance.now();
    if (now >= deadline)
      throw new Error(`Waited ${timeout} ms for ${description}: ${last}`, cause === undefined ? {} : { cause });
    await sleep(Math.max(every, Math.min(Math.max(3 * (now - began), partOfWait * (now - start)), maxRest)));
  }
}

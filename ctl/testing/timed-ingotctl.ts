import { setImmediate } from "node:timers/promises";
import { type Given, ingotctl } from "./ingotctl.ts";

/** For which `ingotctl` waits for an answer. */
export const timeoutMs = 2_000;
export const stepMs = 500;
/** For everything that follows from an answer to happen before the next step of time. */
export const turns = 50;

/** Runs a command to its end, while simulated time passes in steps. @param tick lets time pass @returns for how long it waited, too */
export async function timedIngotctl(args: string, given: Given, tick: (ms: number) => void) {
  let isDone = false;
  const done = ingotctl(args, given).finally(() => {
    isDone = true;
  });
  let waitedMs = 0;
  for (; !isDone && waitedMs < 10 * timeoutMs; waitedMs += stepMs) {
    for (let turn = 0; turn < turns && !isDone; turn++) await setImmediate();
    if (!isDone) tick(stepMs);
  }
  return { ...(await done), waitedMs };
}

import { setTimeout as sleep } from "node:timers/promises";
import type { Timed } from "#e2e/faults";
import type { Millis } from "#pkg/clock";
import { monotonicNow } from "../bench/arp-asker.ts";
import { type Act, describeAct, subjectOf } from "./acts.ts";
import { carryOut } from "./carry-out.ts";
import type { Done } from "./chronicle.ts";
import { ActLog } from "./known.ts";
import { Observer } from "./observer.ts";
import { errorWaitSeconds, type Target } from "./targets/target.ts";

export interface Course {
  readonly done: readonly Done[];
  readonly observer: Observer;
  /** When everything was as it is to be, after the last act; undefined where it was not in time. */
  readonly settledAfter: Millis | undefined;
  /** The part that was not settled then. */
  readonly unsettled: string | undefined;
  /** Of connections that a client kept open; undefined where no pool keeps connections. */
  readonly flows: ReturnType<NonNullable<Target["flows"]>> | undefined;
  readonly end: Millis;
}

// Longer than everybody waits before trying again: a router after an error, and then a speaker that nobody answered before.
const maxSettleMs: Millis = errorWaitSeconds * 1_000 + 120_000;

/** Does the acts, watches, and waits until everything is as it is to be. */
export async function runChaos(target: Target, acts: readonly Timed<Act>[], print: (line: string) => void): Promise<Course> {
  const beganAt = monotonicNow();
  const log = new ActLog(() => monotonicNow() - beganAt, target);
  const observer = new Observer(target, log, beganAt);
  const watching = observer.watch();
  const last = new Map<string, Promise<void>>(); // subject -> what is done to it: undoing may take longer than was thought
  for (const { at, act } of acts) {
    const subject = subjectOf(act);
    const before = last.get(subject) ?? Promise.resolve();
    last.set(
      subject,
      before.then(() => perform(target, { at, act }, log, print)),
    );
  }
  await Promise.all(last.values());
  await target.recovered();
  const restFrom = log.now();
  let unsettled: string | undefined = "nothing was looked at";
  while (unsettled !== undefined && log.now() - restFrom < maxSettleMs) {
    await sleep(500);
    unsettled = await observer.unsettled().catch((error: unknown) => String(error));
  }
  const end = log.now();
  observer.stop();
  await watching;
  const seen = target.flows?.();
  const flows = seen && { opened: seen.opened, broken: seen.broken.map((one) => ({ ...one, at: one.at - beganAt })) };
  return { done: log.done, observer, settledAfter: unsettled === undefined ? end - restFrom : undefined, unsettled, flows, end };
}

async function perform(target: Target, { at, act }: Timed<Act>, log: ActLog, print: (line: string) => void): Promise<void> {
  await sleep(Math.max(0, at - log.now()));
  const done: Done = { act, from: log.now(), inEffectFrom: undefined, undoneFrom: undefined, hasFailed: false, to: undefined };
  log.done.push(done);
  print(`${(done.from / 1_000).toFixed(1).padStart(7)} s  ${describeAct(act)} for ${(act.length / 1_000).toFixed(1)} s`);
  try {
    const undo = await carryOut(target, act);
    done.inEffectFrom = log.now();
    await sleep(Math.max(0, done.from + act.length - log.now()));
    done.undoneFrom = log.now();
    await undo();
  } catch (error) {
    done.hasFailed = true;
    // Such as a configuration while the API is cut off: then it was not done, and the rest is judged as it is.
    print(`${" ".repeat(10)} ${describeAct(act)}: ${error instanceof Error ? error.message : error}`);
  }
  done.to = log.now();
}

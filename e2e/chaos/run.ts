import { setTimeout as sleep } from "node:timers/promises";
import type { Millis } from "#pkg/clock";
import { monotonicNow } from "../bench/arp-asker.ts";
import { type Act, describeAct, subjectOf } from "./acts.ts";
import { carryOut } from "./carry-out.ts";
import type { Done } from "./chronicle.ts";
import { type Known, Observer } from "./observer.ts";
import type { Target } from "./targets/target.ts";

export interface Course {
  readonly done: readonly Done[];
  readonly observer: Observer;
  /** When everything was as it is to be, after the last act; undefined where it was not in time. */
  readonly settledAfter: Millis | undefined;
  /** What was not, then. */
  readonly unsettled: string | undefined;
  readonly end: Millis;
}

// Longer than everybody waits before trying again: 110 s is promised.
const maxSettleMs: Millis = 110_000;

/** Does the acts, watches, and waits until everything is as it is to be. */
export async function runChaos(target: Target, acts: readonly Act[], print: (line: string) => void): Promise<Course> {
  const beganAt = monotonicNow();
  const log = new ActLog(() => monotonicNow() - beganAt);
  const observer = new Observer(target, log, beganAt);
  const watching = observer.watch();
  const last = new Map<string, Promise<void>>(); // subject -> what is done to it: undoing may take longer than was thought
  for (const act of acts) {
    const subject = subjectOf(act.what);
    const before = last.get(subject) ?? Promise.resolve();
    last.set(
      subject,
      before.then(() => perform(target, act, log, print)),
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
  return { done: log.done, observer, settledAfter: unsettled === undefined ? end - restFrom : undefined, unsettled, end };
}

async function perform(target: Target, act: Act, log: ActLog, print: (line: string) => void): Promise<void> {
  await sleep(Math.max(0, act.at - log.now()));
  const done: Done = { act, from: log.now(), undoneFrom: undefined, hasFailed: false, to: undefined };
  log.done.push(done);
  print(`${(done.from / 1_000).toFixed(1).padStart(7)} s  ${describeAct(act)} for ${(act.length / 1_000).toFixed(1)} s`);
  try {
    const undo = await carryOut(target, act.what);
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

/** What was done so far, and what follows from it. */
class ActLog implements Known {
  readonly done: Done[] = [];
  readonly now: () => Millis;

  constructor(now: () => Millis) {
    this.now = now;
  }

  mayBeGone(node: number): boolean {
    return this.#lasting((act) => endsSpeaker(act, node)) !== undefined;
  }

  goneSince(node: number): Millis | undefined {
    return this.done.find(({ act, undoneFrom, to }) => undoneFrom === undefined && to === undefined && endsSpeaker(act, node))
      ?.from;
  }

  isCut(a: number, b: number): boolean {
    const found = this.#lasting(({ what }) => {
      if (what.type !== "cut" && what.type !== "cutOneWay") return false;
      return (what.node === a && what.other === b) || (what.node === b && what.other === a);
    });
    return found !== undefined;
  }

  get routerSince(): Millis | undefined {
    const isRouters = ({ what }: Act) => what.type === "killRouter" || what.type === "freezeRouter";
    if (this.#lasting(isRouters) !== undefined) return undefined;
    return this.done.findLast(({ act }) => isRouters(act))?.to ?? 0;
  }

  #lasting(is: (act: Act) => boolean): Done | undefined {
    return this.done.find(({ act, to }) => to === undefined && is(act));
  }
}

function endsSpeaker({ what }: Act, node: number): boolean {
  if (!("node" in what) || what.node !== node) return false;
  return ["killSpeaker", "stopSpeaker", "stallSpeaker", "isolate", "unplug", "powerOff"].includes(what.type);
}

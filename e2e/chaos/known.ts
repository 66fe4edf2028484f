import type { Millis } from "#pkg/clock";
import { type Act, endsPath, endsSpeaker, subjectOf, type What } from "./acts.ts";
import type { Done } from "./chronicle.ts";
import { gracefulRestartSeconds, holdTimeSeconds, type Target } from "./targets/target.ts";

/** A node that cannot answer the router. */
export interface Gone {
  readonly since: Millis;
  /** From then on the router may have no route by it. */
  readonly noRouteFrom: Millis;
}

/** Knowledge about the faults, for the judgment of observations. */
export interface Known {
  now(): Millis;
  /** Whether a node's speaker may not run, stand still, or not be on the LAN. */
  mayBeGone(node: number): boolean;
  /** Where that is so for certain, and the router runs. */
  gone(node: number): Gone | undefined;
  /** Since when the router has had to have routes by a node, or to get them; undefined where it may go without. */
  isDueSince(node: number): Millis | undefined;
  /** Whether packets between two nodes are dropped. */
  isCut(a: number, b: number): boolean;
  /** Whether something is done to this, as `subjectOf` names it, or was so recently that it may not answer yet. */
  isTouched(subject: string): boolean;
}

const holdMs: Millis = holdTimeSeconds * 1_000;
const gracefulRestartMs: Millis = gracefulRestartSeconds * 1_000;
// A router deletes a route within a second of its deadline, and a busy machine runs it late.
const slackMs: Millis = 3_000;
// A process that was started again answers within this time, also on a busy machine.
const startMs: Millis = 10_000;

// A speaker that starts asks for what these have.
const mayTakeRoutes: ReadonlySet<string> = new Set(["router", "control plane", "configuration"]);
// How long a node whose path was broken has to be healthy before it counts as able again: the first and the second time.
const healthMs: readonly Millis[] = [30_000, 60_000];
// Acts that a router does not take for a failure of the node.
const inOrder: ReadonlySet<What["type"]> = new Set([
  "stopSpeaker",
  "otherVersion",
  "cutApi",
  "cutPair",
  "cutOneWay",
  "lose",
  "breakPath",
  "flushRules",
  "downBridge",
]);

/** Acts so far, and their consequences. */
export class ActLog implements Known {
  readonly done: Done[] = [];
  readonly now: () => Millis;
  readonly #target: Pick<Target, "revives" | "detectionMs">;

  constructor(now: () => Millis, target: Pick<Target, "revives" | "detectionMs">) {
    this.now = now;
    this.#target = target;
  }

  mayBeGone(node: number): boolean {
    const isKilled = (what: What) => what.type === "renumber" && what.node === node && what.speaker === "killed";
    return this.#lasting((what) => endsSpeaker(what, node) || isKilled(what)) !== undefined;
  }

  gone(node: number): Gone | undefined {
    const { revives, detectionMs } = this.#target; // A killed speaker may be back before the act is over.
    const ending = this.#lasting((what) => endsSpeaker(what, node) && !(revives && endsProcess(what)));
    const routerSince = this.#routerSince;
    if (ending?.inEffectFrom === undefined || ending.undoneFrom !== undefined || routerSince === undefined) return undefined;
    const since = ending.inEffectFrom;
    // The kernel of a killed speaker closes the connection without a NOTIFICATION, which is the case for graceful restart. A speaker that
    // stops sends a NOTIFICATION, and a router that hears nothing more sends one itself: neither is a restart (RFC 4724, section 4).
    const isRestart = ending.act.type === "killSpeaker" || !this.#isSteadyBefore(ending);
    const bound = isRestart ? Math.max(detectionMs, gracefulRestartMs) : detectionMs;
    return { since, noRouteFrom: Math.max(since, routerSince) + bound + slackMs };
  }

  /**
   * After an error BIRD refuses the node for a while, and again after each end of a session that follows. So only a node counts of which the router has
   * seen none since it was started: its speaker was stopped and started in order, or lost what its session does not need.
   */
  isDueSince(node: number): Millis | undefined {
    if (this.#target.revives) return undefined; // Kubernetes may have no Pod that is ready for the Services.
    const restart = this.done.findLast(({ act }) => act.type === "killRouter");
    const startedAt = restart === undefined ? -Infinity : (restart.to ?? Infinity);
    let since = Math.max(0, startedAt);
    let breaks = 0;
    for (const one of this.done) {
      const { act, to = Infinity } = one;
      const subject = subjectOf(act);
      const isNodes = subject === `node${node + 1}`;
      if (one === restart || to + startMs <= (restart?.from ?? 0) || !(isNodes || mayTakeRoutes.has(subject))) continue;
      // A speaker that started while there was no router tries less and less often.
      if (subject === "router" || (isNodes && (!inOrder.has(act.type) || to <= startedAt))) return undefined;
      const health = isNodes && endsPath(act) ? (healthMs[breaks++] ?? Infinity) : 0;
      since = Math.max(since, to + health);
    }
    return since === Infinity ? undefined : since;
  }

  isCut(a: number, b: number): boolean {
    const found = this.#lasting((what) => {
      if (what.type === "cutPair") return (what.node === a && what.other === b) || (what.node === b && what.other === a);
      if (what.type !== "cutOneWay") return false;
      return [what.from, what.to].some((those) => those.includes(a)) && [what.from, what.to].some((those) => those.includes(b));
    });
    return found !== undefined;
  }

  isTouched(subject: string): boolean {
    return this.done.some(({ act, to = Infinity }) => subjectOf(act) === subject && to + startMs > this.now());
  }

  /** Since when the router runs; undefined while it does not. */
  get #routerSince(): Millis | undefined {
    const isRouters = (what: Act) => subjectOf(what) === "router";
    if (this.#lasting(isRouters) !== undefined) return undefined;
    return this.done.findLast(({ act }) => isRouters(act))?.to ?? 0;
  }

  /** Whether the session with the router was up for certain: else the router may have kept the node's routes, for a restart that had just begun. */
  #isSteadyBefore(ending: Done): boolean {
    const subjects = [subjectOf(ending.act), "router"];
    return !this.done.some(
      (one) =>
        one !== ending &&
        subjects.includes(subjectOf(one.act)) &&
        (one.to ?? Infinity) + holdMs + gracefulRestartMs > ending.from,
    );
  }

  #lasting(is: (act: Act) => boolean): Done | undefined {
    return this.done.find(({ act, to }) => to === undefined && is(act));
  }
}

function endsProcess({ type }: What): boolean {
  return type === "killSpeaker" || type === "stopSpeaker" || type === "stallSpeaker";
}

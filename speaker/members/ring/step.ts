import { backOff, type Millis } from "#pkg/clock";
import { isCentral } from "#pkg/gossip";
import type { MemberView } from "#pkg/memberlist";
import { list } from "#pkg/text";
import { isLongAlone, notAlone, noteAlone } from "./alone.ts";
import { followInterfaces, lookForAddress } from "./home.ts";
import type { Moment, RingEffect, RingEvent, RingState, SpeakerPods } from "./state.ts";

const rejoinEveryMs: Millis = 60_000;
// Several Pods come and go at once: joining is begun when the last of them has been seen.
const settleMs: Millis = 200;
// Between meeting a member and counting on its view, which may still be on its way.
const metMs: Millis = 500;
// While no speaker of the cluster's ring has been joined although some are Ready.
const firstJoinRetryMs: Millis = 1_000;
const maxJoinRetryMs: Millis = 10_000;
const firstBindRetryMs: Millis = 500;
const maxBindRetryMs: Millis = 10_000;
// By then the ring has been restarted.
const rejoinMs: Millis = 500;

/** Advances the state, which is changed in place, by one event. @returns what the driver carries out, in this order */
export function step(state: RingState, event: RingEvent, moment: Moment): RingEffect[] {
  if (state.isStopped) return [];
  const turn = new Turn(state, moment);
  turn.react(event);
  turn.followPods();
  return turn.effects;
}

/** When the event `timer` has something to do; Infinity without anything. */
export function nextDeadline({ isStopped, bindAt, joinAt, podsAt, metAt, home }: RingState): Millis {
  return isStopped ? Infinity : Math.min(bindAt, joinAt, podsAt, metAt, home.lookAt);
}

/** Why this node is not synced, or not in the ring of the others any more, and what to do, where that takes somebody. */
export function problemOf(state: RingState, moment: Moment): string | undefined {
  if (!state.isSynced) return state.problem;
  if (!isLongAlone(state.alone, moment.now)) return undefined;
  const awaited = awaitedPods(state, moment);
  const who = awaited.size > 0 ? "while others are Ready" : "and so are the others, none of which is Ready";
  return whyNotJoined(state, awaited) ?? `it is alone in its ring, ${who}`;
}

/** One event, and its effects so far. */
class Turn {
  readonly effects: RingEffect[] = [];
  readonly #state: RingState;
  readonly #moment: Moment;

  constructor(state: RingState, moment: Moment) {
    this.#state = state;
    this.#moment = moment;
  }

  react(event: RingEvent): void {
    const state = this.#state;
    const { now, random } = this.#moment;
    switch (event.type) {
      case "start":
        if (event.isLarge) this.effects.push({ type: "askPods" });
        else state.podsAskedAt = undefined;
        this.followPods();
        this.effects.push({ type: "bind" });
        return;
      case "bindFailed":
        state.bindAt = now + backOff(state.bindAttempts++, firstBindRetryMs, maxBindRetryMs, random);
        if (event.problem !== state.bindProblem)
          this.#log("error", "cannot open the port of the speakers' ring, retrying", { error: event.error });
        state.bindProblem = event.problem;
        return;
      case "bound":
        state.isBound = true;
        state.met.at = now;
        this.#joinAt(now);
        return;
      case "pods":
        this.#podsKnown(event.pods, event.areComplete);
        return;
      case "podsAsked":
        if (state.podsAskedAt === undefined) return;
        state.podsAskedAt = event.pods && now;
        if (event.pods !== undefined) this.#podsKnown(event.pods, true);
        return;
      case "members":
        // Central speakers announce no addresses that nodes own, and are beside the speakers of their nodes.
        state.members = event.members.filter(({ name, self }) => self || !isCentral(name));
        this.#update(event);
        this.#consider();
        return;
      case "gossip":
        // Gossip alone takes nobody out of the ring.
        if (state.isSynced ? state.alone.since !== undefined : state.metAt === Infinity) this.#consider();
        return;
      case "joined":
        state.isJoining = false;
        this.#joined(event);
        return;
      case "interfaces":
        state.home = followInterfaces(state.home, event.interfaces, event.address, now);
        return;
      case "timer":
        this.#timer();
        return;
      case "stop":
        state.isStopped = true;
        return;
      default:
        event satisfies never;
    }
  }

  /**
   * In a large ring each Pod that starts would be told to all speakers. There a node joins by itself when it starts, and the members look at the Pods in
   * turn, so that they find a node that was cut off. A node that has lost the ring follows the Pods at once.
   */
  followPods(): void {
    const state = this.#state;
    const { now, random } = this.#moment;
    const { followMs, restMs } = state.large;
    if (this.#isMeeting()) return;
    if (!this.#isInLargeRing()) {
      state.podsAt = Infinity;
      this.#setPodsFollowed(true);
      return;
    }
    if (state.podsAt !== Infinity) {
      if (now < state.podsAt) return;
      this.#setPodsFollowed(!state.arePodsFollowed);
    }
    state.podsAt = now + (state.arePodsFollowed ? followMs * (1 + random()) : state.active.length * restMs * (0.5 + random()));
  }

  /** Whether a speaker that has just started may still meet the ring without following the Pods. */
  #isMeeting(): boolean {
    const state = this.#state;
    const { podsAskedAt, active, met, large } = state;
    if (podsAskedAt === undefined) return false;
    if (active.length > met.most) Object.assign(met, { most: active.length, at: this.#moment.now });
    const since = Math.max(podsAskedAt, met.at);
    // Each of the first members that participate may be suspected for a moment.
    const waitMs = active.length < 2 || this.#isInLargeRing() ? large.aloneMs : large.meetMs;
    state.podsAt = Math.min(since + waitMs, podsAskedAt + large.mostMeetMs);
    if (this.#moment.now < state.podsAt) return true;
    state.podsAskedAt = undefined;
    state.podsAt = Infinity;
    this.#forgetPods();
    return false;
  }

  #isInLargeRing(): boolean {
    const { isSynced, active, large } = this.#state;
    return isSynced && active.length >= large.fromMembers && isInRing(this.#state, this.#moment);
  }

  #podsKnown(pods: SpeakerPods, areComplete: boolean): void {
    const state = this.#state;
    const isFirst = areComplete && !state.arePodsComplete && !state.isSynced;
    const isSettled = isFirst && pods.values().every(({ isReady }) => isReady); // Nobody is about to come, and this node is not ready before it has joined.
    state.pods = pods;
    state.arePodsComplete = areComplete;
    for (const address of state.unreachable.keys()) if (!pods.has(address)) state.unreachable.delete(address);
    this.#joinAt(this.#moment.now + (isSettled ? 0 : settleMs));
    this.#consider();
  }

  #forgetPods(): void {
    const state = this.#state;
    state.arePodsComplete = false;
    state.pods = new Map();
    state.unreachable.clear();
  }

  #setPodsFollowed(areFollowed: boolean): void {
    const state = this.#state;
    if (areFollowed === state.arePodsFollowed || state.isStopped) return;
    state.arePodsFollowed = areFollowed;
    this.#forgetPods();
    this.effects.push({ type: "followPods", areFollowed });
  }

  #timer(): void {
    const state = this.#state;
    const { now } = this.#moment;
    if (now >= state.bindAt) {
      state.bindAt = Infinity;
      this.effects.push({ type: "bind" });
    }
    this.#move();
    if (now >= state.metAt) this.#sync();
    if (now >= state.joinAt) {
      state.joinAt = Infinity;
      this.#join();
    }
  }

  #move(): void {
    const state = this.#state;
    const before = state.home.address;
    state.home = lookForAddress(state.home, this.#moment.now);
    const { address } = state.home;
    if (address === before) return;
    const message = "this node's address has changed, and so does its address in the speakers' ring";
    this.#log("warn", message, { before, address });
    this.effects.push({ type: "move", address });
    state.joinAttempts = 0;
    this.#joinAt(this.#moment.now + rejoinMs); // It may have taken all others for gone before.
  }

  /** Joins at `at`, unless that is to happen sooner already. */
  #joinAt(at: Millis): void {
    this.#state.joinAt = Math.min(this.#state.joinAt, at);
  }

  #join(): void {
    const state = this.#state;
    if (state.isJoining || !state.isBound || !state.arePodsComplete) return;
    const known = new Set(state.members.flatMap(({ self, address }) => (self ? [] : [address])));
    const wanted = new Map([...state.pods].filter(([address]) => !known.has(address)));
    if (wanted.size === 0) this.#joined({ wanted, failures: [] });
    else {
      state.isJoining = true;
      this.effects.push({ type: "join", wanted });
    }
  }

  #joined({ wanted, failures }: Pick<Extract<RingEvent, { type: "joined" }>, "wanted" | "failures">): void {
    const state = this.#state;
    this.#noteUnreachable(wanted, failures);
    const awaited = awaitedPods(state, this.#moment);
    // Where some have failed, those that were met may be about to.
    if (state.arePodsComplete && awaited.size === 0 && (failures.length === 0 || state.active.length < 2)) this.#sync();
    if (!state.isSynced) state.problem = whyNotJoined(state, awaited);
    this.#consider();
    const { now, random } = this.#moment;
    const isDone = state.isSynced && awaited.size === 0;
    this.#joinAt(now + (isDone ? rejoinEveryMs : backOff(state.joinAttempts++, firstJoinRetryMs, maxJoinRetryMs, random)));
  }

  /** Logs one line when an address cannot be joined, not one every minute. A Pod that is starting or being replaced is no reason to warn. */
  #noteUnreachable(wanted: SpeakerPods, failures: readonly { readonly address: string; readonly reason: string }[]): void {
    const { unreachable } = this.#state;
    for (const { address, reason } of failures) {
      if (unreachable.has(address)) continue;
      const { node, isReady = false } = wanted.get(address) ?? {};
      const fields = { address, node, reason };
      if (isReady) this.#log("warn", "cannot join a speaker", fields);
      else this.#log("info", "cannot join a speaker whose Pod is not Ready", fields);
    }
    for (const address of wanted.keys()) unreachable.delete(address);
    for (const { address, reason } of failures) unreachable.set(address, reason);
  }

  /**
   * A member that was met sends its view of all others; there is no need to wait until the unreachable ones have been tried, unless it is they
   * that announce. It has to stay for a moment.
   */
  #consider(): void {
    const state = this.#state;
    if (state.isSynced) {
      this.#noteAlone();
      return;
    }
    const mayCount = state.arePodsComplete ? awaitedPods(state, this.#moment).size === 0 : isInRing(state, this.#moment);
    if (!mayCount || state.active.length < 2) state.metAt = Infinity;
    else if (state.metAt === Infinity) state.metAt = this.#moment.now + metMs;
  }

  /** Joins soon where this node has just lost all others, though they are Ready. */
  #noteAlone(): void {
    const state = this.#state;
    const { now } = this.#moment;
    const before = state.alone;
    const seen = {
      areOthersReady: awaitedPods(state, this.#moment).size > 0,
      isInRing: isInRing(state, this.#moment),
      turn: [...state.pods.values()].filter(({ node }) => node < state.node).length,
    };
    state.alone = state.isBound && state.arePodsComplete ? noteAlone(before, seen, now) : notAlone;
    if (before.since !== undefined || state.alone.since === undefined) return;
    state.joinAttempts = 0;
    this.#joinAt(now + firstJoinRetryMs);
  }

  #sync(): void {
    const state = this.#state;
    state.metAt = Infinity;
    if (state.isSynced) return;
    state.isSynced = true;
    state.problem = undefined;
    this.effects.push({ type: "members" });
  }

  #update({ members, withoutGossip, starting }: Extract<RingEvent, { type: "members" }>): void {
    const state = this.#state;
    const now = { active: members.map(({ name }) => name).sort(), withoutGossip, starting };
    if (listsOf(now) === listsOf(state)) return;
    Object.assign(state, now);
    this.effects.push({ type: "members" });
  }

  #log(level: "info" | "warn" | "error", message: string, fields: object): void {
    this.effects.push({ type: "log", level, message, fields: { op: "memberlist", ...fields } });
  }
}

/**
 * The Pods, by their addresses, whose speakers announce as far as the API knows, while this node, which has just started, or moved, is not in
 * the ring of those that do: what it announced would have two owners. None once it is in that ring. A member that does not participate waits
 * too, although its Pod may still be Ready from before it started.
 */
function awaitedPods(state: RingState, moment: Moment): SpeakerPods {
  if (isInRing(state, moment)) return new Map();
  const waiting = new Set(state.members.filter(isHeard).map(({ name }) => name));
  return new Map([...state.pods].filter(([, { isReady, node }]) => isReady && !waiting.has(node)));
}

function listsOf({ active, withoutGossip, starting }: Pick<RingState, "active" | "withoutGossip" | "starting">): string {
  return [active, withoutGossip, starting].map((names) => names.join()).join(" ");
}

/** Whether another member announces: it participates, or is of another kind, which never waits. */
function isInRing({ members, withoutGossip }: RingState, { isParticipating }: Moment): boolean {
  return members.some((member) => isHeard(member) && (withoutGossip.includes(member.name) || isParticipating(member.name)));
}

/** Whether it is another member that is not suspected. */
function isHeard({ self, status }: MemberView): boolean {
  return !self && status === "alive";
}

/** Why these cannot be joined, with the remedy; undefined until they have been tried. */
function whyNotJoined({ unreachable, members }: RingState, awaited: SpeakerPods): string | undefined {
  const which = [...awaited].flatMap(([address, { node }]) => {
    const reason = unreachable.get(address);
    return reason === undefined ? [] : [`${node} at ${address}: ${reason}`];
  });
  if (which.length === 0) return undefined;
  const port = members.find(({ self }) => self)?.port;
  return `none of those that are Ready can be joined (${list(which)}); TCP and UDP port ${port} must be open between all nodes`;
}

import assert from "node:assert/strict";
import type { Millis, Random } from "#pkg/clock";
import { seededRandom } from "#pkg/clock/testing";
import type { SessionSettings } from "#pkg/config";
import { address } from "#pkg/net/testing";
import type { Capability, Message, Notification, Open, Update } from "../codec/messages.ts";
import type { Effect, Event } from "../session/events.ts";
import { step } from "../session/fsm.ts";
import { newSession, nextDeadline, type Session, type SessionOptions, type State, stateOf } from "../session/state.ts";
import { settings } from "./settings.ts";

export const ourId = address("192.0.2.1");
export const theirId = address("192.0.2.2");

/** Capabilities that a healthy peer offers. */
export const theirCapabilities: readonly Capability[] = [
  { type: "multiprotocol", afi: 1, safi: 1 },
  { type: "multiprotocol", afi: 2, safi: 1 },
  { type: "routeRefresh" },
  { type: "fourOctetAsn", asn: 65002 },
];

export function theirOpen(fields: Partial<Open> = {}): Open {
  return {
    type: "open",
    version: 4,
    asn: 65002,
    holdTimeSeconds: 90,
    routerId: theirId,
    capabilities: theirCapabilities,
    ...fields,
  };
}

export function notification(code: number, subcode: number): Notification {
  return { type: "notification", code, subcode, data: new Uint8Array() };
}

export const keepalive: Message = { type: "keepalive" };
export const update: Update = {
  type: "update",
  announced: 0,
  endOfRib: undefined,
  forgiven: [],
};
export const refresh: Message = { type: "routeRefresh", afi: 1, safi: 1, subtype: "request" };

/** A session whose network and clock are the test's. */
export class LoneSession {
  session: Session;
  now: Millis = 1_000_000;
  readonly #random: Random;

  constructor(fields: Partial<SessionSettings> = {}, options: Partial<SessionOptions> = {}) {
    this.session = newSession({ settings: settings(fields), restarting: false, forwardingPreserved: true, ...options });
    this.#random = seededRandom(1);
  }

  get state(): State {
    return stateOf(this.session);
  }

  dispatch(event: Event): Effect[] {
    const [session, effects] = step(this.session, event, this.now, this.#random);
    this.session = session;
    return effects;
  }

  message(connection: number, message: Message, octets = 0): Effect[] {
    return this.dispatch({ type: "message", connection, message, octets });
  }

  /** Moves time to the next deadline. @returns what was done there */
  next(): Effect[] {
    const at = nextDeadline(this.session);
    assert.notEqual(at, Infinity, "nothing is waited for");
    this.now = Math.max(this.now, at);
    return this.dispatch({ type: "timer" });
  }

  /** Lets time pass, doing what is due on the way. */
  pass(duration: Millis): Effect[] {
    const effects: Effect[] = [];
    const until = this.now + duration;
    while (nextDeadline(this.session) <= until) effects.push(...this.next());
    this.now = until;
    return effects;
  }

  /** Brings it from Idle to a state, by a connection that this side begins. @returns the id of the connection, 1 */
  reach(state: State): number {
    const steps: Record<Exclude<State, "idle">, () => void> = {
      active: () => {
        this.dispatch({ type: "start" });
        this.dispatch({ type: "lost", connection: 1, because: "connection refused" });
      },
      connect: () => this.dispatch({ type: "start" }),
      openSent: () => {
        this.dispatch({ type: "start" });
        this.dispatch({ type: "connected", connection: 1, routerId: ourId });
      },
      openConfirm: () => {
        steps.openSent();
        this.message(1, theirOpen());
      },
      established: () => {
        steps.openConfirm();
        this.message(1, keepalive);
      },
    };
    if (state !== "idle") steps[state]();
    assert.equal(this.state, state);
    return 1;
  }
}

/** Effects in short: `send open`, `close 1`, `down receivedNotification`. */
export function summary(effects: readonly Effect[]): string {
  return effects.map(summaryOf).filter(Boolean).join(", ");
}

function summaryOf(effect: Effect): string {
  switch (effect.type) {
    case "send":
      return effect.message.type === "notification"
        ? `send ${effect.message.code}/${effect.message.subcode}`
        : `send ${effect.message.type}`;
    case "refuse":
      return `refuse ${effect.notification.code}/${effect.notification.subcode}`;
    case "close":
    case "dial":
    case "adopt":
      return `${effect.type} ${effect.connection}`;
    case "down":
    case "failed":
      return `${effect.type} ${effect.reason.type}`;
    case "refresh":
      return `refresh ${effect.family}`;
    case "established":
    case "endOfRib":
    case "update":
      return effect.type;
    case "transition":
      return "";
    default:
      return effect satisfies never;
  }
}

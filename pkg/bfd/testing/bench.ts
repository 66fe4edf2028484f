import { type ControlPacket, Diagnostic } from "../codec/control-codec.ts";
import { type Effect, type Event, step } from "../session/fsm.ts";
import { newSession, type Parameters, type Session } from "../session/session.ts";

export const parameters: Parameters = {
  transmitMs: 50,
  receiveMs: 60,
  echoingReceiveMs: 1000,
  multiplier: 3,
  passive: false,
  echoMs: undefined,
  echoReceiveMs: 0,
};

/** A packet of a peer that knows our discriminator, 7, and is up. */
export function packet(changes: Partial<ControlPacket> = {}): ControlPacket {
  return {
    diagnostic: Diagnostic.none,
    state: "up",
    poll: false,
    final: false,
    controlPlaneIndependent: false,
    demand: false,
    multiplier: 4,
    myDiscriminator: 9,
    yourDiscriminator: 7,
    desiredMinTx: 40,
    requiredMinRx: 30,
    requiredMinEchoRx: 0,
    ...changes,
  };
}

/** A session, number 7, that a test moves by hand. Packets leave as late as jitter allows, unless a test sets another chance. */
export class Bench {
  session: Session;
  now = 0;
  chance = 1;

  constructor(changes: Partial<Parameters> = {}) {
    this.session = newSession({ ...parameters, ...changes }, 7, 0);
  }

  /** At `at`, or at the time of the event before. */
  on(event: Event, at = this.now): Effect[] {
    this.now = at;
    const [session, effects] = step(this.session, event, at, this.chance);
    this.session = session;
    return effects;
  }

  receive(changes: Partial<ControlPacket> = {}, at = this.now, arrivedAt = at): Effect[] {
    return this.on({ type: "packet", packet: packet(changes), arrivedAt }, at);
  }

  wait(until: number, late = 0): Effect[] {
    return this.on({ type: "timer", late }, until);
  }

  /** Brings the session up, with the poll that follows answered. */
  up(changes: Partial<ControlPacket> = {}): this {
    this.receive({ ...changes, state: "down", yourDiscriminator: 0 });
    this.receive({ ...changes, state: "up" });
    this.receive({ ...changes, final: true });
    return this;
  }
}

/** The packets among the effects. */
export function sent(effects: readonly Effect[]): ControlPacket[] {
  return effects.flatMap((effect) => (effect.type === "send" ? effect.packet : []));
}

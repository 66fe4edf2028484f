import type { Clock, Millis, Random } from "#pkg/clock";
import { decodeControl, encodeControl } from "../codec/control-codec.ts";
import { type Event, step } from "../session/fsm.ts";
import { isOfSession } from "../session/matching.ts";
import { detectionTime, newSession, nextDeadline, type Parameters, type Session } from "../session/session.ts";
import { type BfdStatus, describeSession, statusAfter, unknownStatus } from "../session/status.ts";

export interface SimulatedSessionOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly parameters: Parameters;
  readonly send: (octets: Uint8Array) => void;
  /** Called when the verdict is another one. */
  readonly onChange: (status: BfdStatus) => void;
}

// All packets of a simulated path come the same way.
const way = { source: Uint8Array.of(), destination: Uint8Array.of(), interfaceIndex: 1 };

/**
 * One end of a session over one hop, in simulated time: the real codec and state machine, in turns as those of `Engine`. Octets wait while its
 * clock runs nothing, as they do in a socket.
 */
export class SimulatedSession implements Disposable {
  readonly #options: SimulatedSessionOptions;
  readonly #queue: { readonly octets: Uint8Array; readonly arrivedAt: Millis }[] = [];
  #session: Session;
  #status = unknownStatus;
  #turnAt: Millis = Infinity;
  #hasEnded = false;

  constructor(options: SimulatedSessionOptions) {
    const { clock, random, parameters } = options;
    this.#options = options;
    this.#session = newSession(parameters, 1 + Math.floor(random() * (2 ** 32 - 1)), clock.now());
    this.#plan();
  }

  get status(): BfdStatus {
    return this.#status;
  }

  /** How long after the last packet the other end counts as gone; undefined while the session is not up. */
  get detectionMs(): Millis | undefined {
    return this.#session.state === "up" ? detectionTime(this.#session) : undefined;
  }

  receive(octets: Uint8Array): void {
    if (this.#hasEnded) return;
    this.#queue.push({ octets, arrivedAt: this.#options.clock.now() });
    this.#plan();
  }

  configure(parameters: Parameters): void {
    this.#apply({ type: "configure", parameters });
    this.#plan();
  }

  /** Tells the other end that it is meant so (AdminDown). */
  [Symbol.dispose](): void {
    if (this.#session.remote.discriminator !== 0) this.#apply({ type: "disable" });
    this.#hasEnded = true;
  }

  #plan(): void {
    const { clock } = this.#options;
    const at = this.#queue.length > 0 ? clock.now() : nextDeadline(this.#session);
    if (at >= this.#turnAt) return; // An earlier turn finds nothing due, and plans this one.
    this.#turnAt = at;
    clock.schedule("BFD", at, () => {
      if (this.#turnAt !== at || this.#hasEnded) return;
      this.#turnAt = Infinity;
      this.#turn();
      this.#plan();
    });
  }

  /** First what has arrived, then what is due. */
  #turn(): void {
    const { clock } = this.#options;
    const late = Math.max(0, clock.now() - nextDeadline(this.#session));
    for (const { octets, arrivedAt } of this.#queue.splice(0)) {
      const packet = decodeControl(octets);
      if (typeof packet === "string") throw new Error(`Cannot decode a packet of the other end: ${packet}`);
      const { yourDiscriminator } = packet;
      const isOurs = yourDiscriminator === 0 || yourDiscriminator === this.#session.discriminator;
      if (isOurs && isOfSession(this.#session, packet, way, way.interfaceIndex))
        this.#apply({ type: "packet", packet, arrivedAt });
    }
    if (!this.#hasEnded && clock.now() >= nextDeadline(this.#session)) this.#apply({ type: "timer", late });
  }

  #apply(event: Event): void {
    const { clock, random, send, onChange } = this.#options;
    if (this.#hasEnded) return;
    const { state } = this.#session;
    const [session, effects] = step(this.#session, event, clock.now(), random());
    this.#session = session;
    for (const effect of effects) if (effect.type === "send") send(encodeControl(effect.packet));
    if (session.state === state) return;
    const { verdict } = this.#status;
    this.#status = statusAfter(this.#status, state, describeSession(session, undefined));
    if (this.#status.verdict !== verdict) onChange(this.#status);
  }
}

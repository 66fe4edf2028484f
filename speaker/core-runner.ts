import { Alarm, type Clock, type Millis, type Random } from "#pkg/clock";
import { EventQueue } from "#pkg/queue";
import type { SpeakerEffect } from "./core/effects.ts";
import type { SpeakerEvent } from "./core/events.ts";
import type { SpeakerState } from "./core/state.ts";
import { nextDeadline, step } from "./core/step.ts";

/** One input of `step`, as it is recorded: the same inputs give a fresh state the same effects. */
export interface CoreInput {
  readonly event: SpeakerEvent;
  readonly now: Millis;
}

/**
 * Runs the core: hands it one event after another, has its effects carried out in their order, and sends `timer` when a deadline is over.
 * Drivers can be made with `dispatch` before there is a state; what they deliver waits for `start`.
 */
export class CoreRunner implements Disposable {
  readonly #clock: Clock;
  readonly #alarm: Alarm;
  readonly #queue: EventQueue<SpeakerEvent>;
  readonly #early: SpeakerEvent[] = [];
  #running: { readonly state: SpeakerState; readonly carryOut: (effect: SpeakerEffect) => void } | undefined;
  #isStopped = false;
  /** Where set, it is told each input with its effects, before they are carried out. */
  onStep: ((input: CoreInput, effects: readonly SpeakerEffect[]) => void) | undefined;

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#alarm = new Alarm(clock, "speaker", () => this.dispatch({ type: "timer", chance: random() }));
    this.#queue = new EventQueue(
      (event) => this.#step(event),
      () => this.#setAlarm(),
    );
  }

  /** Usable as a callback. */
  readonly dispatch = (event: SpeakerEvent): void => {
    if (this.#isStopped) return;
    if (this.#running === undefined) this.#early.push(event);
    else this.#queue.push(event);
  };

  /** To be called once. */
  start(state: SpeakerState, carryOut: (effect: SpeakerEffect) => void): void {
    this.#running = { state, carryOut };
    for (const event of this.#early.splice(0)) this.#queue.push(event);
  }

  /** What is delivered from now on is ignored. */
  [Symbol.dispose](): void {
    this.#isStopped = true;
    this.#alarm[Symbol.dispose]();
  }

  #step(event: SpeakerEvent): void {
    if (this.#running === undefined) return;
    const { state, carryOut } = this.#running;
    const now = this.#clock.now();
    const effects = step(state, event, now);
    this.onStep?.({ event, now }, effects);
    for (const effect of effects) carryOut(effect);
  }

  #setAlarm(): void {
    if (this.#running !== undefined && !this.#isStopped) this.#alarm.set(nextDeadline(this.#running.state));
  }
}

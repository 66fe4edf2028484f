import { Alarm, type Clock, type Millis, type Random } from "#pkg/clock";
import { EventQueue } from "#pkg/collections";
import type { CoreInput } from "./contract/core.ts";

/** A deadline is over. One that comes early or twice does nothing. `chance` is uniform in [0, 1). */
export interface TimerEvent {
  readonly type: "timer";
  readonly chance: number;
}

interface RunCore<State, Event, Effect> {
  step(state: State, event: Event | TimerEvent, now: Millis): Effect[];
  nextDeadline(state: State): Millis;
}

/**
 * Runs a core: hands it one event after another, has its effects carried out in their order, and sends `timer` when a deadline is over.
 * Drivers can be made with `dispatch` before there is a state; what they deliver waits for `start`.
 */
export class CoreRunner<State, Event, Effect> implements Disposable {
  readonly #core: RunCore<State, Event, Effect>;
  readonly #clock: Clock;
  readonly #alarm: Alarm;
  readonly #queue: EventQueue<Event | TimerEvent>;
  readonly #early: (Event | TimerEvent)[] = [];
  #running: { readonly state: State; readonly carryOut: (effect: Effect) => void } | undefined;
  #isStopped = false;
  /** Where set, it is told each input with its effects, before they are carried out. */
  onStep: ((input: CoreInput<Event | TimerEvent>, effects: readonly Effect[]) => void) | undefined;

  constructor(core: RunCore<State, Event, Effect>, clock: Clock, random: Random) {
    this.#core = core;
    this.#clock = clock;
    this.#alarm = new Alarm(clock, "core", () => this.dispatch({ type: "timer", chance: random() }));
    this.#queue = new EventQueue(
      (event) => this.#step(event),
      () => this.#setAlarm(),
    );
  }

  /** Usable as a callback. */
  readonly dispatch = (event: Event | TimerEvent): void => {
    if (this.#isStopped) return;
    if (this.#running === undefined) this.#early.push(event);
    else this.#queue.push(event);
  };

  /** To be called once. */
  start(state: State, carryOut: (effect: Effect) => void): void {
    this.#running = { state, carryOut };
    for (const event of this.#early.splice(0)) this.#queue.push(event);
  }

  /** Later events are ignored. */
  [Symbol.dispose](): void {
    this.#isStopped = true;
    this.#alarm[Symbol.dispose]();
  }

  #step(event: Event | TimerEvent): void {
    if (this.#running === undefined) return;
    const { state, carryOut } = this.#running;
    const now = this.#clock.now();
    const effects = this.#core.step(state, event, now);
    this.onStep?.({ event, now }, effects);
    for (const effect of effects) carryOut(effect);
  }

  #setAlarm(): void {
    if (this.#running !== undefined && !this.#isStopped) this.#alarm.set(this.#core.nextDeadline(this.#running.state));
  }
}

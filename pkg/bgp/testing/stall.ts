import type { Clock, Millis } from "#pkg/clock";
import type { SimulatedClock } from "#pkg/clock/testing";
import type { ConnectionEvents, Incoming, Transport } from "../driver/transport.ts";

interface Timer {
  readonly name: string;
  readonly at: Millis;
  readonly fn: () => void;
  scheduled: Disposable;
}

/** A process that can be made to stand still. When it goes on, its timers run first, and then what arrived meanwhile. */
export class Stall implements Clock {
  readonly #clock: SimulatedClock;
  readonly #timers = new Set<Timer>();
  #until: Millis = 0;

  constructor(clock: SimulatedClock) {
    this.#clock = clock;
  }

  now(): Millis {
    return this.#clock.now();
  }

  schedule(name: string, at: Millis, fn: () => void): Disposable {
    const run = (): void => {
      this.#timers.delete(timer);
      fn();
    };
    const timer: Timer = { name, at, fn: run, scheduled: this.#clock.schedule(name, Math.max(at, this.#until), run) };
    this.#timers.add(timer);
    return {
      [Symbol.dispose]: () => {
        this.#timers.delete(timer);
        timer.scheduled[Symbol.dispose]();
      },
    };
  }

  standStill(duration: Millis): void {
    this.#until = this.now() + duration;
    for (const timer of this.#timers) {
      if (timer.at >= this.#until) continue;
      timer.scheduled[Symbol.dispose]();
      timer.scheduled = this.#clock.schedule(timer.name, this.#until, timer.fn);
    }
  }

  transport(inner: Transport): Transport {
    return {
      dial: (peer, events) => inner.dial(peer, this.#events(events)),
      endNow: (end, peer) => inner.endNow(end, peer),
    };
  }

  /** Connections that come meanwhile are taken when it goes on. */
  accepting(accept: (incoming: Incoming) => void): (incoming: Incoming) => void {
    return this.#later(({ end, open }) => accept({ end, open: (events) => open(this.#events(events)) }));
  }

  #events({ connected, received, closed }: ConnectionEvents): ConnectionEvents {
    return { connected: this.#later(connected), received: this.#later(received), closed: this.#later(closed) };
  }

  #later<Args extends unknown[]>(deliver: (...args: Args) => void) {
    return (...args: Args): void => {
      if (this.now() < this.#until) this.#clock.schedule("arrived", this.#until, () => deliver(...args));
      else deliver(...args);
    };
  }
}

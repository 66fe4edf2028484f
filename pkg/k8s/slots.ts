import { Alarm, type Clock, type Millis } from "#pkg/clock";

/** Whether someone waits for the call, or it is only for the record. */
export type Priority = "urgent" | "background";

// While many urgent calls wait, the next ones begin this soon after the last ones, and in between a background call begins this often.
const calmMs: Millis = 50;

/**
 * Bounds the number of calls that are under way at once. Urgent ones go first. Background ones have some of the places while there are few
 * urgent ones. While urgent calls have half of the places, and for a moment after that, background calls begin one at a time and now and
 * then, because each takes as much from the API server as an urgent one. When many urgent calls are to be made, some end in one turn and
 * the next ones begin in another turn; the places between must not go to calls that nobody waits for.
 */
export class Slots {
  readonly #total: number;
  readonly #background: number;
  readonly #clock: Clock;
  readonly #waiting: Readonly<Record<Priority, (() => void)[]>> = { urgent: [], background: [] };
  readonly #running: Record<Priority, number> = { urgent: 0, background: 0 };
  readonly #calm: Alarm;
  #calmAt: Millis = -Infinity;
  #backgroundAt: Millis = -Infinity; // Until then none begins while it is not calm.

  /** `total` places, of which background calls take at most `background`. */
  constructor(total: number, background: number, clock: Clock) {
    this.#total = total;
    this.#background = background;
    this.#clock = clock;
    this.#calm = new Alarm(clock, "background calls", () => this.#admit());
  }

  async run<T>(priority: Priority, call: () => Promise<T>): Promise<T> {
    await this.#enter(priority);
    try {
      return await call();
    } finally {
      this.#running[priority]--;
      this.#admit();
    }
  }

  #enter(priority: Priority): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting[priority].push(resolve);
      this.#admit();
    });
  }

  #admit(): void {
    for (const priority of ["urgent", "background"] as const) {
      while (this.#waiting[priority].length > 0 && this.#hasPlace(priority)) {
        this.#running[priority]++;
        if (priority === "background") this.#backgroundAt = this.#clock.now() + calmMs;
        this.#waiting[priority].shift()?.();
      }
    }
    const now = this.#clock.now();
    if (this.#waiting.background.length > 0 && this.#calmAt > now)
      this.#calm.setNoLater(this.#backgroundAt > now ? Math.min(this.#calmAt, this.#backgroundAt) : this.#calmAt);
  }

  #hasPlace(priority: Priority): boolean {
    const { urgent, background } = this.#running;
    if (urgent >= this.#total / 2) this.#calmAt = this.#clock.now() + calmMs;
    if (urgent + background >= this.#total) return false;
    if (priority === "urgent") return true;
    const now = this.#clock.now();
    return now < this.#calmAt ? background === 0 && now >= this.#backgroundAt : background < this.#background;
  }
}

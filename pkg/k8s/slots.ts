/** Whether someone waits for the call, or it is only for the record. */
export type Priority = "urgent" | "background";

/** Bounds how many calls are under way at once. Urgent ones go first; background ones have only some of the places. */
export class Slots {
  readonly #limits: Readonly<Record<Priority, number>>;
  readonly #waiting: Readonly<Record<Priority, (() => void)[]>> = { urgent: [], background: [] };
  readonly #running: Record<Priority, number> = { urgent: 0, background: 0 };

  /** `total` places, of which background calls take at most `background`. */
  constructor(total: number, background: number) {
    this.#limits = { urgent: total, background };
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
      while (this.#waiting[priority].length > 0 && this.#running[priority] < this.#limits[priority] && this.#free > 0) {
        this.#running[priority]++;
        this.#waiting[priority].shift()?.();
      }
    }
  }

  get #free(): number {
    return this.#limits.urgent - this.#running.urgent - this.#running.background;
  }
}

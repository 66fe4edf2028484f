import type { Millis } from "#pkg/clock";

const window: Millis = 1000;
// About a tenth of a core.
const most = 20_000;

/**
 * Whether so much arrives that answering it takes a good part of a core: as soon as more than 20,000 frames came within a second, and
 * until a second has brought no more than half of that. Pure: the owner says what time it is, which never goes back.
 */
export class FloodWatch {
  #flooded = false;
  #frames = 0; // In this window.
  #until: Millis = -Infinity;

  get flooded(): boolean {
    return this.#flooded;
  }

  /** So many frames came. @returns whether `flooded` has changed */
  add(frames: number, now: Millis): boolean {
    const before = this.#flooded;
    if (now >= this.#until) {
      // A window ends when the next frames come, however late: without any there is nothing to be spared from.
      if (now >= this.#until + window || this.#frames <= most / 2) this.#flooded = false;
      this.#until = now + window;
      this.#frames = 0;
    }
    this.#frames += frames;
    if (this.#frames > most) this.#flooded = true;
    return this.#flooded !== before;
  }
}

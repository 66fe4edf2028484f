import type { Millis } from "#pkg/clock";
import type { Mac } from "#pkg/net";
import type { WireAddress } from "../frames/arp.ts";

/** Limits of the work that a flood of frames can cause. Callers pass the time, which never goes back. */

const windowMs: Millis = 1000;
// About a tenth of a core.
const maxFrames = 20_000;

/**
 * Whether answers to the frames would take a good part of a core: from the moment when more than 20,000 came within a second, until
 * a second brings at most half of that.
 */
export class FloodWatch {
  #flooded = false;
  #frames = 0; // In this window.
  #until: Millis = -Infinity;

  get flooded(): boolean {
    return this.#flooded;
  }

  /** Counts frames. @returns whether `flooded` has changed */
  add(frames: number, now: Millis): boolean {
    const before = this.#flooded;
    if (now >= this.#until) {
      // A window ends when the next frames come, however late.
      if (now >= this.#until + windowMs || this.#frames <= maxFrames / 2) this.#flooded = false;
      this.#until = now + windowMs;
      this.#frames = 0;
    }
    this.#frames += frames;
    if (this.#frames > maxFrames) this.#flooded = true;
    return this.#flooded !== before;
  }
}

// Several hosts may use one address, each may be probed, and the answers have to come through beside one that sends without end.
const maxPerHost = 4;
const maxPerAddress = 8;
const maxSightings = 1000;
// One host may announce all of them, as a node of another cluster with the same pool does.
const maxOfHost = 900;

/** How many sightings per second are reported to the main thread: the rest of a storm costs a look at each frame and no more. */
export class SightingLimiter {
  readonly #reported = new Map<WireAddress, Mac[]>(); // address -> the hosts of the sightings reported in this window
  readonly #ofHosts = new Map<Mac, number>(); // host -> how many sightings of it
  #total = 0;
  #until: Millis = -Infinity;

  allows(address: WireAddress, mac: Mac, now: Millis): boolean {
    if (now >= this.#until) {
      this.#until = now + windowMs;
      this.#total = 0;
      this.#reported.clear();
      this.#ofHosts.clear();
    }
    const ofHost = this.#ofHosts.get(mac) ?? 0;
    if (this.#total >= maxSightings || ofHost >= maxOfHost) return false;
    const reported = this.#reported.get(address) ?? [];
    if (reported.length >= maxPerAddress || reported.filter((one) => one === mac).length >= maxPerHost) return false;
    if (reported.push(mac) === 1) this.#reported.set(address, reported);
    this.#ofHosts.set(mac, ofHost + 1);
    this.#total++;
    return true;
  }
}

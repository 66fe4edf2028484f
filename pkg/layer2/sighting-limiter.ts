import type { Millis } from "#pkg/clock";
import type { WireAddress } from "./messages.ts";

const window: Millis = 1000;
// Several machines may sighting one address, each may be asked back, and the answers have to come through.
const maxOfOne = 8;
const maxTotal = 1000;

/**
 * How many sightings a second are worth telling: a storm of them costs a look at each frame and no more. Pure: the owner says what time
 * it is, which never goes back.
 */
export class SightingLimiter {
  readonly #told = new Map<WireAddress, number>(); // address -> sightings told in this window
  #total = 0;
  #until: Millis = -Infinity;

  allows(address: WireAddress, now: Millis): boolean {
    if (now >= this.#until) {
      this.#until = now + window;
      this.#total = 0;
      this.#told.clear();
    }
    const told = this.#told.get(address) ?? 0;
    if (told >= maxOfOne || this.#total >= maxTotal) return false;
    this.#told.set(address, told + 1);
    this.#total++;
    return true;
  }
}

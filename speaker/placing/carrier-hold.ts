import type { Millis } from "#pkg/clock";
import type { InterfaceState } from "#pkg/layer2";

// Hosts that the kernel looked for in vain while there was no carrier it looks for again a second later (RFC 4861 RetransTimer, and
// Linux does the same for ARP): until then the node takes packets in and cannot pass them on to a Pod of another node.
const holdMs: Millis = 1_500;

/**
 * Interfaces whose carrier has come back count as without one for 1.5 s, in which the node that took over goes on: nothing is lost by
 * waiting, and a cable with a loose contact moves nothing.
 */
export class CarrierHold {
  readonly #later: (delay: Millis, fn: () => void) => void;
  readonly #over: () => void;
  #carriers = new Map<number, boolean>(); // index -> whether it had one when last seen
  readonly #held = new Map<number, object>(); // index -> what tells this hold from later ones

  /** @param over one of them counts again */
  constructor(later: (delay: Millis, fn: () => void) => void, over: () => void) {
    this.#later = later;
    this.#over = over;
  }

  /** @param succeeded another node can answer in place of this one; where none can, no carrier is held back */
  apply(interfaces: readonly InterfaceState[], succeeded: boolean): readonly InterfaceState[] {
    for (const { index, running } of interfaces) {
      if (!running) this.#held.delete(index);
      else if (this.#carriers.get(index) === false && succeeded) this.#hold(index);
    }
    this.#carriers = new Map(interfaces.map(({ index, running }) => [index, running]));
    return interfaces.map((each) => (this.#held.has(each.index) ? { ...each, running: false } : each));
  }

  #hold(index: number): void {
    const hold = {};
    this.#held.set(index, hold);
    this.#later(holdMs, () => {
      if (this.#held.get(index) !== hold) return;
      this.#held.delete(index);
      this.#over();
    });
  }
}

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
  #lost = new Map<number, boolean>(); // index of one without a carrier -> whether another node could answer since then
  readonly #held = new Map<number, object>(); // index -> what tells this hold from later ones

  /** @param over one of them counts again */
  constructor(later: (delay: Millis, fn: () => void) => void, over: () => void) {
    this.#later = later;
    this.#over = over;
  }

  /**
   * @param othersAnswer other nodes can answer in place of this one, as far as it sees. Where none could when the carrier went, nor can
   *   now, it is not waited for: behind a pulled cable the others may seem to be gone.
   */
  apply(interfaces: readonly InterfaceState[], othersAnswer: boolean): readonly InterfaceState[] {
    const before = this.#lost;
    this.#lost = new Map();
    for (const { index, running } of interfaces) {
      const succeeded = othersAnswer || before.get(index) === true;
      if (!running) {
        this.#held.delete(index);
        this.#lost.set(index, succeeded);
      } else if (before.has(index) && succeeded) this.#hold(index);
    }
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

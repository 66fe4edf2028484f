/**
 * Which addresses have had an owner, so that the first announcement of one can be told from all later ones: only before the first may
 * a host of the network be asked whether it has the address, since later that would delay a succession. What Services held when this
 * process began counts as announced. Every speaker keeps this by itself, from the same Services and elections.
 */
export class FirstOwner {
  readonly #announced = new Set<string>(); // addresses

  /** The address was held when this process began. */
  wasThere(address: string): void {
    this.#announced.add(address);
  }

  /** An address was placed. `owned`: some node is to announce it; `held`: a Service has it. @returns whether this owner is its first */
  placed(address: string, { held, owned }: { held: boolean; owned: boolean }): boolean {
    if (!held) this.#announced.delete(address);
    if (!held || !owned || this.#announced.has(address)) return false;
    this.#announced.add(address);
    return true;
  }
}

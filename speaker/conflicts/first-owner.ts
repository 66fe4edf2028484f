/**
 * Which addresses were announced before. Only the first announcement of an address may wait for probes: later ones are failovers, which
 * must not be delayed. What Services held when this process started counts as announced. Each speaker keeps this by itself, from the same
 * Services and elections.
 */
export class FirstOwner {
  readonly #announced = new Set<string>(); // addresses

  /** A Service held the address when this process started. */
  wasThere(address: string): void {
    this.#announced.add(address);
  }

  /** An address was placed. `held`: a Service has it; `owned`: some node is to announce it.  whether this is the first announcement */
  placed(address: string, { held, owned }: { held: boolean; owned: boolean }): boolean {
    if (!held) this.#announced.delete(address);
    if (!held || !owned || this.#announced.has(address)) return false;
    this.#announced.add(address);
    return true;
  }
}

/** Named numbers in memory that two threads share: one counts, the other reads without asking, and they outlive the thread that counts. */
export class SharedCounters<Name extends string> {
  readonly memory: SharedArrayBuffer;
  readonly #slots: ReadonlyMap<Name, number>;
  readonly #values: BigInt64Array;

  /** `memory` is that of the same names in the other thread; new and all 0 when unset. */
  constructor(names: readonly Name[], memory?: SharedArrayBuffer) {
    this.#slots = new Map(names.map((name, slot) => [name, slot]));
    this.memory = memory ?? new SharedArrayBuffer(names.length * BigInt64Array.BYTES_PER_ELEMENT);
    this.#values = new BigInt64Array(this.memory);
  }

  add(name: Name, by = 1): void {
    Atomics.add(this.#values, this.#slot(name), BigInt(by));
  }

  get(name: Name): number {
    return Number(Atomics.load(this.#values, this.#slot(name)));
  }

  all(): Record<Name, number> {
    return Object.fromEntries([...this.#slots.keys()].map((name) => [name, this.get(name)])) as Record<Name, number>;
  }

  #slot(name: Name): number {
    const slot = this.#slots.get(name);
    if (slot === undefined) throw new RangeError(`Cannot count: no counter is called ${name}`);
    return slot;
  }
}

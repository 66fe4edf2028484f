/** Named numbers in memory that two threads share: one counts, the other reads without asking, and they outlive the thread that counts. */
export class SharedCounters<Name extends string> {
  readonly memory: SharedArrayBuffer;
  readonly #names: readonly Name[];
  readonly #values: BigInt64Array;

  /** `memory` is that of the same names on the other side; new and all 0 when unset. */
  constructor(names: readonly Name[], memory?: SharedArrayBuffer) {
    this.#names = names;
    this.memory = memory ?? new SharedArrayBuffer(names.length * BigInt64Array.BYTES_PER_ELEMENT);
    this.#values = new BigInt64Array(this.memory);
  }

  add(name: Name): void {
    Atomics.add(this.#values, this.#names.indexOf(name), 1n);
  }

  get(name: Name): number {
    return Number(Atomics.load(this.#values, this.#names.indexOf(name)));
  }

  all(): Record<Name, number> {
    return Object.fromEntries(this.#names.map((name) => [name, this.get(name)])) as Record<Name, number>;
  }
}

import type { FoundFault } from "./fuzzer.ts";

/** The task of a parser's thread. */
export interface Task {
  readonly name: string;
  /** To begin with. */
  readonly inputs: readonly Uint8Array[];
  /** Seconds of processor time. */
  readonly seconds: number;
  readonly seed: number;
  /** See `CurrentInput`. */
  readonly shared: SharedArrayBuffer;
}

/** Its work so far. */
export interface Report {
  readonly isLast: boolean;
  readonly executions: number;
  readonly reached: number;
  /** The largest share of a bound, between 0 and 1. */
  readonly maxLoad: number;
  readonly findings: readonly FoundFault[];
  readonly inputs: readonly Uint8Array[];
  /** Seconds of processor time. */
  readonly seconds: number;
}

const headerInts = 2;
const maxInput = 1 << 20;

/** The current input, in memory that outlives the thread: the input may kill it. */
export class CurrentInput {
  readonly shared: SharedArrayBuffer;
  readonly #header: Int32Array; // how many there have been, and the length of this one
  readonly #octets: Uint8Array;

  constructor(shared: SharedArrayBuffer = new SharedArrayBuffer(headerInts * 4 + maxInput)) {
    this.shared = shared;
    this.#header = new Int32Array(shared, 0, headerInts);
    this.#octets = new Uint8Array(shared, headerInts * 4);
  }

  set(input: Uint8Array): void {
    this.#octets.set(input.subarray(0, maxInput));
    Atomics.store(this.#header, 1, Math.min(input.length, maxInput));
    Atomics.add(this.#header, 0, 1);
  }

  get input(): Uint8Array {
    return this.#octets.slice(0, Atomics.load(this.#header, 1));
  }

  get count(): number {
    return Atomics.load(this.#header, 0);
  }
}

import { malformations } from "./codec/control-codec.ts";
import type { Parameters } from "./session/session.ts";
import type { SessionView } from "./session/status.ts";

/** Why a control packet counts for no session: what is wrong with it, or how it came. */
export const ignoredReasons = ["ttl", ...malformations, "noSession", "otherSource"] as const;
export type IgnoredReason = (typeof ignoredReasons)[number];

/** What the thread counts for all, and how it is told to stop. */
export const totalNames = ["stop", ...ignoredReasons] as const;
/** What the thread counts for each session. */
export const packetNames = ["controlIn", "controlOut", "echoIn", "echoOut"] as const;

/** A session to keep, as it goes to the thread. Addresses are octets in network order. */
export interface Order {
  readonly id: number;
  readonly peer: Uint8Array;
  /** This side's address; the kernel's choice when undefined. */
  readonly local: Uint8Array | undefined;
  readonly interfaceName: string | undefined;
  readonly multihop: boolean;
  /** What packets of a multihop session must come with at least. */
  readonly minimumTtl: number;
  readonly parameters: Parameters;
  /** Of `packetNames`. */
  readonly counters: SharedArrayBuffer;
}

/** What a thread starts with. */
export interface WorkerStart {
  /** Of `totalNames`. */
  readonly totals: SharedArrayBuffer;
  /** The descriptor of the `EventFd` that says that there are commands, or that it is time to stop. */
  readonly wake: number;
  readonly orders: readonly Order[];
}

/** From the main thread to the worker. */
export type Command =
  /** Begins the session of this id, or changes its parameters and smallest TTL. */
  { readonly type: "set"; readonly order: Order } | { readonly type: "remove"; readonly id: number };

/** From the worker to the main thread, whenever any of it is another. */
export interface Report {
  readonly id: number;
  readonly view: SessionView;
}

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

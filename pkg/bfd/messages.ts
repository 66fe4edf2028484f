import { malformations } from "./codec/control-codec.ts";
import type { Parameters } from "./session/session.ts";
import type { SessionView } from "./session/status.ts";

/** Why a control packet counts for no session: what is wrong with it, or how it came. */
export const ignoredReasons = ["ttl", ...malformations, "noSession", "otherSource", "otherDiscriminator"] as const;
export type IgnoredReason = (typeof ignoredReasons)[number];

/** What the thread counts for all sessions, and the flag that stops it. */
export const totalNames = ["stop", ...ignoredReasons] as const;
/** What the thread counts for each session. */
export const packetNames = ["controlIn", "controlOut", "echoIn", "echoOut"] as const;

/** A session as the thread gets it. Addresses are octets in network config. */
export interface SessionConfig {
  readonly id: number;
  readonly peer: Uint8Array;
  /** This side's address; the kernel's choice when undefined. */
  readonly local: Uint8Array | undefined;
  readonly interfaceName: string | undefined;
  readonly multihop: boolean;
  /** The minimum TTL of packets of a multihop session. */
  readonly minimumTtl: number;
  readonly parameters: Parameters;
  /** Of `packetNames`. */
  readonly counters: SharedArrayBuffer;
}

/** What a thread starts with. */
export interface WorkerStart {
  /** Of `totalNames`. */
  readonly totals: SharedArrayBuffer;
  /** The descriptor of the `EventFd` that is signalled for commands and for the stop. */
  readonly wake: number;
  readonly configs: readonly SessionConfig[];
}

/** From the main thread to the worker. */
export type Command =
  /** Begins the session of this id, or changes its parameters and smallest TTL. */
  { readonly type: "set"; readonly config: SessionConfig } | { readonly type: "remove"; readonly id: number };

/** From the worker to the main thread, whenever any of it is another. */
export interface StatusMessage {
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

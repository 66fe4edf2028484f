import type { MemberlistProblem } from "./codec/memberlist-error.ts";
import { newRingCounters, type RingCounters } from "./ring/ring.ts";

/** How often things happened on the network of one member since its start. */
export type NetworkCounters = ReturnType<typeof newNetworkCounters>;

/** In milliseconds. */
export const roundTripBounds: readonly number[] = [0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 500];

export type MemberlistCounters = Readonly<NetworkCounters & RingCounters>;

export function newNetworkCounters() {
  return {
    packetsReceived: 0,
    packetsSent: 0,
    /** Packets of sources that are not known, beyond those that are looked at. */
    packetsDropped: 0,
    /** Packets that came before. */
    packetsReplayed: 0,
    /** Packets that this machine refused to send. */
    sendFailures: 0,
    streamsAccepted: 0,
    /** Streams closed to make room for others. */
    streamsEvicted: 0,
    /** Pings answered directly and in time, and the milliseconds that all of them took. */
    roundTrips: 0,
    roundTripMillis: 0,
    /**
     * Numbers of round trips that took at most as long as each of `roundTripBounds` and longer than the bound before; the last number:
     * longer than all bounds.
     */
    roundTripBuckets: Array<number>(roundTripBounds.length + 1).fill(0),
    /** Messages that arrived and could not be understood. */
    problems: {
      label: 0,
      plaintext: 0,
      wrongKey: 0,
      unknownVersion: 0,
      checksum: 0,
      unsupported: 0,
      tooLarge: 0,
      malformed: 0,
    } satisfies Record<MemberlistProblem, number>,
  };
}

export function countRoundTrip(counters: NetworkCounters, millis: number): void {
  counters.roundTrips++;
  counters.roundTripMillis += millis;
  const bucket = roundTripBounds.findIndex((bound) => millis <= bound);
  const { roundTripBuckets } = counters;
  const at = bucket < 0 ? roundTripBounds.length : bucket;
  roundTripBuckets[at] = (roundTripBuckets[at] ?? 0) + 1;
}

/** Each counter as one number; the same order for all counters, since all have the same fields. */
function flatten(counters: MemberlistCounters): number[] {
  return Object.values(counters).flatMap((value) => (typeof value === "number" ? [value] : Object.values<number>(value)));
}

function unflatten(numbers: Float64Array): MemberlistCounters {
  let at = 0;
  const next = (): number => numbers[at++] ?? 0;
  const fill = (counters: object): object =>
    Object.fromEntries(
      Object.entries(counters).map(([name, value]) => {
        if (typeof value === "number") return [name, next()];
        return [name, Array.isArray(value) ? value.map(next) : fill(value)];
      }),
    );
  return fill({ ...newNetworkCounters(), ...newRingCounters() }) as MemberlistCounters;
}

/** A member's counters in memory that its thread writes and the main thread reads, so that neither has to wake the other. */
export class CounterMemory {
  readonly memory: SharedArrayBuffer;
  readonly #numbers: Float64Array;

  constructor(memory: SharedArrayBuffer) {
    this.memory = memory;
    this.#numbers = new Float64Array(memory);
  }

  static create(): CounterMemory {
    const { length } = flatten({ ...newNetworkCounters(), ...newRingCounters() });
    return new CounterMemory(new SharedArrayBuffer(length * Float64Array.BYTES_PER_ELEMENT));
  }

  write(counters: MemberlistCounters): void {
    this.#numbers.set(flatten(counters));
  }

  read(): MemberlistCounters {
    return unflatten(this.#numbers);
  }
}

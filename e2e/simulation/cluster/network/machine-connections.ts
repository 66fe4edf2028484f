import type { Millis } from "#pkg/clock";
import { SimulatedFilter } from "#pkg/handover/testing";
import type { Address } from "#pkg/net";
import type { SimulatedProcess, Time } from "../simulated-process.ts";

/** The TCP connections that a machine's kernel knows, and its packet filter. Both outlive speakers. */
export class MachineConnections {
  readonly filter: SimulatedFilter;
  readonly known = new Map<number, string>(); // connection -> the address that its client connected to

  constructor(time: Time) {
    this.filter = new SimulatedFilter(() => time.now);
  }

  /** The machine is off. */
  clear(): void {
    this.known.clear();
    this.filter.flush();
  }
}

const everyMs: Millis = 5_000;
const firstAfterMs: Millis = 250;

/** Stands for `pkg/handover`'s. */
export class FlowCounter {
  readonly #wanted = new Set<string>(); // addresses
  readonly #first: () => void;
  #hasBegun = false;

  constructor(
    machine: MachineConnections,
    process: SimulatedProcess,
    time: Time,
    onCounts: (counts: ReadonlyMap<string, number>) => void,
  ) {
    const count = () => {
      process.at(time.now + everyMs, count);
      if (this.#wanted.size === 0) return;
      const counts = new Map([...this.#wanted].map((address) => [address, 0]));
      for (const address of machine.known.values()) if (counts.has(address)) counts.set(address, (counts.get(address) ?? 0) + 1);
      onCounts(counts);
    };
    this.#first = () => process.at(time.now + firstAfterMs, count);
  }

  want(address: Address, isWanted: boolean): void {
    if (!this.#hasBegun) this.#first();
    this.#hasBegun = true;
    if (isWanted) this.#wanted.add(address.toString());
    else this.#wanted.delete(address.toString());
  }
}

import type { Millis } from "#pkg/clock";
import type { Item } from "#pkg/kernel";
import type { SimulatedProcess, Time } from "../simulated-process.ts";

// As pkg/kernel has it for a few addresses.
export const lifetimeMs: Millis = 10_000;
const renewEveryMs: Millis = lifetimeMs / 3;

/** The addresses that a machine's kernel has on its NIC for Services, and answers for: beyond the process that put them there, for their lifetime. */
export class NicAddresses {
  readonly #time: Time;
  readonly #goneAt = new Map<string, Millis>(); // address -> when the kernel takes it off

  constructor(time: Time) {
    this.#time = time;
  }

  get all(): string[] {
    for (const [address, goneAt] of this.#goneAt) if (goneAt <= this.#time.now) this.#goneAt.delete(address);
    return [...this.#goneAt.keys()];
  }

  set(address: string): void {
    this.#goneAt.set(address, this.#time.now + lifetimeMs);
  }

  delete(address: string): void {
    this.#goneAt.delete(address);
  }

  /** The machine is off. */
  clear(): void {
    this.#goneAt.clear();
  }
}

/** Stands for what keeps them there, a speaker's `KernelKeeper`: renews what is wanted, and removes what an earlier process left. */
export class NicKeeper {
  readonly #kernel: NicAddresses;
  readonly #wanted = new Set<string>(); // addresses on the NIC
  /** Addresses that are elsewhere in the kernel. */
  readonly routed = new Set<string>();
  readonly #onChange: () => void;

  constructor(kernel: NicAddresses, process: SimulatedProcess, time: Time, onChange: () => void) {
    this.#kernel = kernel;
    this.#onChange = onChange;
    const renew = () => {
      for (const address of this.#wanted) kernel.set(address);
      process.at(time.now + renewEveryMs, renew);
    };
    renew();
  }

  want(address: string, items: readonly Item[]): void {
    if (items.some((item) => item.type === "route" || !item.isOnLan)) this.routed.add(address);
    else this.routed.delete(address);
    if (items.some((item) => item.type === "address" && item.isOnLan)) {
      this.#wanted.add(address);
      this.#kernel.set(address);
    } else if (this.#wanted.delete(address)) this.#kernel.delete(address);
    this.#onChange();
  }

  complete(): void {
    for (const address of this.#kernel.all) if (!this.#wanted.has(address)) this.#kernel.delete(address);
  }

  /** Removes what is wanted, and keeps nothing from now on. */
  stop(): void {
    for (const address of this.#wanted) this.#kernel.delete(address);
    this.#wanted.clear();
  }
}

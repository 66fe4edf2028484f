import type { Address } from "#pkg/net";

// With 50 members about 10 ms of hashing. The first elections for 10,000 addresses take a second: silent for that long, this node
// would be taken for dead by the ring it has just joined.
const mostAtOnce = 100;

/**
 * What is still to be done: addresses to place again, then, when all are placed, Services to tell people of. Gives it out in parts, and
 * asks to be woken as long as some is left. What was taken may be put on again meanwhile.
 */
export class Agenda {
  readonly #wake: () => void;
  readonly #addresses = new Map<string, Address>(); // text -> address to place again
  readonly #services = new Set<string>(); // Keys of those to tell of.
  #awake = false;
  #settled = false; // All is placed, and routers were told so.

  constructor(wake: () => void) {
    this.#wake = wake;
  }

  /** Something changed for these addresses. */
  touch(addresses: Iterable<Address>): void {
    for (const address of addresses) {
      this.#addresses.set(address.toString(), address);
      this.wake();
    }
  }

  /** Something may be different for these Services. */
  tellOf(services: Iterable<string>): void {
    for (const service of services) this.#services.add(service);
  }

  /** Routers are to be told when all is placed, even if there is nothing to place. */
  unsettle(): void {
    this.#settled = false;
    this.wake();
  }

  /** It was woken, and is to be woken again for what comes from now on. */
  begin(): void {
    this.#awake = false;
  }

  /** Asks to be woken, unless that has been done or nothing is left. */
  wake(): void {
    if (this.#awake || (this.#settled && this.#addresses.size + this.#services.size === 0)) return;
    this.#awake = true;
    this.#wake();
  }

  /** A part of the addresses, each taken off as it comes. */
  *takeAddresses(): Iterable<Address> {
    for (const [key, address] of this.#addresses.entries().take(mostAtOnce)) {
      this.#addresses.delete(key);
      yield address;
    }
  }

  /** A part of the Services, each taken off as it comes. */
  *takeServices(): Iterable<string> {
    for (const service of this.#services.values().take(mostAtOnce)) {
      this.#services.delete(service);
      yield service;
    }
  }

  /** No address is left to be placed. */
  get allPlaced(): boolean {
    return this.#addresses.size === 0;
  }

  /** Routers are about to be told how far it is. @returns whether all is placed */
  settle(): boolean {
    this.#settled = this.allPlaced;
    return this.#settled;
  }
}

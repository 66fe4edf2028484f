import type { Address } from "#pkg/net";

/** Which nodes own which addresses: a node reports what it announces as its own, so that the others leave that to it. */
export class Ownerships {
  readonly #pages = new Map<string, Map<string, Map<string, Address>>>(); // node -> page -> address -> itself
  readonly #owners = new Map<string, readonly string[]>(); // address -> nodes; absent where there is none

  /** The node owns exactly these addresses of the page. @returns those for which that is new */
  set(node: string, page: string, addresses: Iterable<Address>): Address[] {
    const now = new Map([...addresses].map((address) => [address.toString(), address]));
    const gone = [...this.page(node, page).values()].filter((address) => !now.has(address.toString()));
    const come = [...now.values()].filter((address) => !this.has(node, address));
    for (const address of gone) this.remove(node, page, address);
    for (const address of come) this.add(node, page, address);
    return [...gone, ...come];
  }

  has(node: string, address: Address): boolean {
    return this.of(address.toString()).includes(node);
  }

  /** The node owns one more. */
  add(node: string, page: string, address: Address): void {
    const key = address.toString();
    const pages = this.#pages.get(node) ?? new Map<string, Map<string, Address>>();
    const owned = pages.get(page) ?? new Map<string, Address>();
    this.#pages.set(node, pages.set(page, owned.set(key, address)));
    this.#owners.set(key, [...this.of(key), node]);
  }

  /** The node owns one less. */
  remove(node: string, page: string, address: Address): void {
    const key = address.toString();
    this.#pages.get(node)?.get(page)?.delete(key);
    const others = this.of(key).filter((other) => other !== node);
    if (others.length === 0) this.#owners.delete(key);
    else this.#owners.set(key, others);
  }

  /** What a node owns of a page. */
  page(node: string, page: string): ReadonlyMap<string, Address> {
    return this.#pages.get(node)?.get(page) ?? new Map();
  }

  /** Nodes that own the address, in no order. */
  of(address: string): readonly string[] {
    return this.#owners.get(address) ?? [];
  }

  /** All that a node owns. */
  *by(node: string): Iterable<Address> {
    for (const page of this.#pages.get(node)?.values() ?? []) yield* page.values();
  }

  /** The node owns nothing. */
  clear(node: string): void {
    for (const page of this.#pages.get(node)?.keys() ?? []) this.set(node, page, []);
    this.#pages.delete(node);
  }
}

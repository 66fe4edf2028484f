import type { Address } from "#pkg/net";

/** Which nodes claim which addresses: a node claims what it announces, so that others leave it that. */
export class Claims {
  readonly #pages = new Map<string, Map<string, Map<string, Address>>>(); // node -> page -> address -> itself
  readonly #claimants = new Map<string, readonly string[]>(); // address -> nodes; absent where there is none

  /** The node claims exactly these addresses of the page. @returns those for which that is new */
  set(node: string, page: string, addresses: Iterable<Address>): Address[] {
    const now = new Map([...addresses].map((address) => [address.toString(), address]));
    const gone = [...this.page(node, page).values()].filter((address) => !now.has(address.toString()));
    for (const address of gone) this.remove(node, page, address);
    const come = [...now.values()].filter((address) => this.add(node, page, address));
    return [...gone, ...come];
  }

  /** @returns false when the node claims it already */
  add(node: string, page: string, address: Address): boolean {
    const key = address.toString();
    const pages = this.#pages.get(node) ?? new Map<string, Map<string, Address>>();
    const claimed = pages.get(page) ?? new Map<string, Address>();
    if (claimed.has(key)) return false;
    this.#pages.set(node, pages.set(page, claimed.set(key, address)));
    this.#claimants.set(key, [...this.of(key), node]);
    return true;
  }

  /** @returns false when the node does not claim it */
  remove(node: string, page: string, address: Address): boolean {
    const key = address.toString();
    if (!this.#pages.get(node)?.get(page)?.delete(key)) return false;
    const others = this.of(key).filter((other) => other !== node);
    if (others.length === 0) this.#claimants.delete(key);
    else this.#claimants.set(key, others);
    return true;
  }

  /** What a node claims of a page. */
  page(node: string, page: string): ReadonlyMap<string, Address> {
    return this.#pages.get(node)?.get(page) ?? new Map();
  }

  /** Nodes that claim the address, in no order. */
  of(address: string): readonly string[] {
    return this.#claimants.get(address) ?? [];
  }

  /** All that a node claims. */
  *by(node: string): Iterable<Address> {
    for (const page of this.#pages.get(node)?.values() ?? []) yield* page.values();
  }

  /** The node claims nothing. */
  clear(node: string): void {
    for (const page of this.#pages.get(node)?.keys() ?? []) this.set(node, page, []);
    this.#pages.delete(node);
  }
}

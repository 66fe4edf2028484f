import type { Address } from "#pkg/net";

/** The addresses of each node in a set of its own, such as the addresses that it owns. They are reported page by page. */
export class AddressSets {
  readonly pages = new Map<string, Map<string, Map<string, Address>>>(); // node -> page -> address -> itself
  private readonly holders = new Map<string, readonly string[]>(); // address -> nodes; absent without a node

  /** The node has exactly these addresses of the page. @returns those for which that is new */
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

  /** How many a node has. */
  size(node: string): number {
    return (
      this.pages
        .get(node)
        ?.values()
        .reduce((sum, { size }) => sum + size, 0) ?? 0
    );
  }

  /** The node has one more. */
  add(node: string, page: string, address: Address): void {
    const key = address.toString();
    const pages = this.pages.get(node) ?? new Map<string, Map<string, Address>>();
    const its = pages.get(page) ?? new Map<string, Address>();
    this.pages.set(node, pages.set(page, its.set(key, address)));
    this.holders.set(key, [...this.of(key), node]);
  }

  /** The node has one less. */
  remove(node: string, page: string, address: Address): void {
    const key = address.toString();
    const its = this.pages.get(node)?.get(page);
    its?.delete(key);
    if (its?.size === 0) this.pages.get(node)?.delete(page);
    const others = this.of(key).filter((other) => other !== node);
    if (others.length === 0) this.holders.delete(key);
    else this.holders.set(key, others);
  }

  page(node: string, page: string): ReadonlyMap<string, Address> {
    return this.pages.get(node)?.get(page) ?? new Map();
  }

  /** Nodes that have the address, in no order. */
  of(address: string): readonly string[] {
    return this.holders.get(address) ?? [];
  }

  /** All addresses of a node. */
  *by(node: string): Iterable<Address> {
    for (const page of this.pages.get(node)?.values() ?? []) yield* page.values();
  }

  /** The node has nothing. */
  clear(node: string): void {
    for (const page of this.pages.get(node)?.keys() ?? []) this.set(node, page, []);
    this.pages.delete(node);
  }
}

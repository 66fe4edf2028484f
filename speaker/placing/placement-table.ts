import type { Pool } from "#pkg/config";
import type { Address } from "#pkg/net";
import type { AddressPlacement } from "#pkg/placement";

/** Where each address is announced that a Service has. */
export class PlacementTable {
  readonly #node: string;
  readonly #placements = new Map<string, AddressPlacement>(); // address -> where it is announced

  /** @param node this one */
  constructor(node: string) {
    this.#node = node;
  }

  /** @param address its text */
  get(address: string): AddressPlacement | undefined {
    return this.#placements.get(address);
  }

  /** Undefined: no Service has the address. */
  set(address: string, placement: AddressPlacement | undefined): void {
    if (placement === undefined) this.#placements.delete(address);
    else this.#placements.set(address, placement);
  }

  /** Whether this node announces the address: on layer 2 as the one owner, by BGP for whatever Service. */
  isAnnounced({ owner, protocol, verdicts }: AddressPlacement): boolean {
    return protocol === "bgp" ? verdicts.values().some(({ announced }) => announced) : owner === this.#node;
  }

  /** Those that this node announces. */
  *announced(): Iterable<AddressPlacement> {
    for (const placement of this.#placements.values()) if (this.isAnnounced(placement)) yield placement;
  }

  *inPools(pools: readonly Pool[]): Iterable<Address> {
    if (pools.length === 0) return;
    const names = new Set(pools.map(({ name }) => name));
    for (const { pool, address } of this.#placements.values()) if (pool !== undefined && names.has(pool)) yield address;
  }

  /** Those whose owner depends on which nodes are active. */
  *withOwners(): Iterable<Address> {
    for (const { address, protocol } of this.#placements.values()) if (protocol !== "bgp") yield address;
  }
}

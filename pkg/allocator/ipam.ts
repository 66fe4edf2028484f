import type { Pool } from "#pkg/config";
import { type Address, type Family, parseAddress } from "#pkg/net";

/** The view of an IPAM on one pool. */
export interface IpamPool {
  readonly pool: string;
  /** Address, as this project writes it -> the Service that it has chosen it for. All are looked through at each change: none is parsed. */
  readonly granted: ReadonlyMap<string, string>;
  /** Address -> in whose use it is there, in words. */
  readonly foreign: ReadonlyMap<string, string>;
  /** Families of which it has no free address. */
  readonly exhausted: ReadonlySet<Family>;
  /** The IPAM's problem, in words. */
  readonly problem: string | undefined;
}

/** Whether an IPAM, and not the allocator, chooses who gets which address of the pool. */
export function isChosenElsewhere({ netbox }: Pool): boolean {
  return netbox?.mode === "allocate";
}

/** What IPAMs say of their pools. */
export class Ipam {
  readonly #grants = new Map<string, { readonly pool: string; readonly text: string }[]>(); // Service -> what was chosen for it
  readonly #services = new Map<string, string>(); // address -> the Service that it was chosen for
  readonly #pools: ReadonlyMap<string, IpamPool>; // by name

  constructor(pools: readonly IpamPool[]) {
    this.#pools = new Map(pools.map((each) => [each.pool, each]));
    for (const { pool, granted } of pools)
      for (const [text, service] of granted) {
        this.#services.set(text, service);
        const before = this.#grants.get(service);
        if (before === undefined) this.#grants.set(service, [{ pool, text }]);
        else before.push({ pool, text });
      }
  }

  /** All views. */
  get pools(): Iterable<IpamPool> {
    return this.#pools.values();
  }

  /** Addresses that the IPAM chose for the Service, of one pool and family. */
  grants(service: string, pool: string, family: Family): readonly Address[] {
    const chosen = (this.#grants.get(service) ?? []).filter((grant) => grant.pool === pool);
    return chosen.flatMap(({ text }) => parseAddress(text) ?? []).filter((address) => address.family === family);
  }

  /** Names of the pools of which something was chosen for the Service. */
  poolsOf(service: string): ReadonlySet<string> {
    return new Set((this.#grants.get(service) ?? []).map(({ pool }) => pool));
  }

  isGranted(address: Address, service: string): boolean {
    return this.#services.get(`${address}`) === service;
  }

  isExhausted(pool: string, family: Family): boolean {
    return this.#pools.get(pool)?.exhausted.has(family) ?? false;
  }

  problem(pool: string): string | undefined {
    return this.#pools.get(pool)?.problem;
  }

  /** In whose use the address is, in words; undefined where it is in nobody's. */
  foreign(pool: string, address: Address): string | undefined {
    return this.#pools.get(pool)?.foreign.get(`${address}`);
  }

  /** All addresses that are in somebody's use. */
  *foreignAddresses(): Iterable<string> {
    for (const { foreign } of this.#pools.values()) yield* foreign.keys();
  }
}

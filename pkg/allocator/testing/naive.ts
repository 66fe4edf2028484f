/**
 * The allocator's rules written as plainly as they can be, for the tests to compare with: every address of every pool is listed,
 * and every question walks all Services.
 */
import type { Pool } from "#pkg/config";
import { Address } from "#pkg/net";
import type { AddressRequest } from "#pkg/service";

interface Held {
  readonly request: AddressRequest;
  readonly addresses: readonly Address[];
}

export class Naive {
  #pools: readonly Pool[] = [];
  readonly #held = new Map<string, Held>(); // service -> what it holds

  /** `service address reason` of all that is stranded, by service. */
  setPools(pools: readonly Pool[]): string[] {
    const stranded: string[] = [];
    for (const service of [...this.#held.keys()].sort()) {
      const addresses = this.addresses(service);
      let home: Pool | undefined;
      for (const address of addresses) {
        const reason = misplaced(pools, address, home);
        if (reason === undefined) home ??= poolOf(pools, address);
        else stranded.push(`${service} ${address} ${reason}`);
      }
    }
    if (stranded.length === 0) this.#pools = pools;
    return stranded;
  }

  addresses(service: string): readonly Address[] {
    return this.#held.get(service)?.addresses ?? [];
  }

  requests(address: Address): AddressRequest[] {
    return [...this.#held.values()].filter((held) => held.addresses.some((a) => a.equals(address))).map((held) => held.request);
  }

  pool(service: string): string | undefined {
    const [first] = this.addresses(service);
    return first && poolOf(this.#pools, first)?.name;
  }

  release(service: string): void {
    this.#held.delete(service);
  }

  /** @returns the reason against the first address that is not taken */
  adopt(request: AddressRequest, recorded: readonly Address[]): string | undefined {
    const reasons: string[] = [];
    const byFamily = request.families.flatMap((family) => recorded.find((address) => address.family === family) ?? []);
    if (recorded.length > 0 && (byFamily.length < recorded.length || byFamily.length < request.families.length))
      reasons.push("familyMismatch");
    let home: Pool | undefined;
    const placed = recorded.filter((address) => {
      if (!byFamily.includes(address)) return false;
      const reason = misplaced(this.#pools, address, home);
      if (reason === undefined) home ??= poolOf(this.#pools, address);
      else reasons.push(reason);
      return reason === undefined;
    });
    const taken = placed.filter((address) => this.#clash(request, address) === undefined);
    reasons.push(...placed.flatMap((address) => this.#clash(request, address) ?? []));
    this.#hold(request, taken);
    return reasons[0];
  }

  /** @returns the reasons why the request is not met, one per pool where each has its own */
  settle(request: AddressRequest): string | undefined {
    this.adopt(request, this.addresses(request.service));
    const own = this.addresses(request.service);
    const known = this.#pools.some((pool) => pool.name === request.requestedPool);
    if (this.#pools.length === 0) return "noPools";
    if (request.requestedAddresses.length > 0) {
      const wanted = request.requestedAddresses.toSorted((a, b) => (String(a) < String(b) ? -1 : 1));
      const reason = this.adopt(request, wanted);
      if (reason !== undefined) {
        this.#hold(request, own);
        return reason;
      }
      if (request.requestedPool === undefined || request.requestedPool === this.pool(request.service)) return undefined;
      return known ? "wrongPool" : "unknownPool";
    }
    const home = own[0] && poolOf(this.#pools, own[0]);
    const homeFits = home !== undefined && (request.requestedPool === undefined || request.requestedPool === home.name);
    if (homeFits && own.length === request.families.length) return undefined;
    if (request.requestedPool !== undefined && !known) return "unknownPool";
    const asked = this.#pools.filter((pool) => pool.name === (request.requestedPool ?? pool.name));
    const open = asked.filter((pool) => pool.autoAssign || pool.name === request.requestedPool);
    for (const pool of [...open.filter((pool) => pool === home), ...open]) {
      const found = this.#in(pool, request, own);
      if (typeof found === "string") continue;
      this.#hold(request, found);
      return undefined;
    }
    const reasons = asked.map((pool) => (open.includes(pool) ? String(this.#in(pool, request, own)) : "autoAssignOff"));
    return request.requestedPool === undefined ? `noPoolFits: ${reasons.join(" ")}` : reasons.join();
  }

  /** One address of each family in the order of the pool's list, those already held first; or the reason why not. */
  #in(pool: Pool, request: AddressRequest, own: readonly Address[]): Address[] | string {
    const all = listed(pool);
    const chosen: Address[] = [];
    for (const family of request.families) {
      if (!pool.ranges.some((range) => range.family === family)) return "poolLacksFamily";
      const candidates = all.filter((address) => address.family === family && this.#clash(request, address) === undefined);
      const found = candidates.find((address) => own.some((held) => held.equals(address))) ?? candidates[0];
      if (found === undefined) return "poolFull";
      chosen.push(found);
    }
    return all.filter((address) => chosen.includes(address));
  }

  #hold(request: AddressRequest, addresses: readonly Address[]): void {
    this.#held.delete(request.service);
    if (addresses.length > 0) this.#held.set(request.service, { request, addresses });
  }

  #clash(request: AddressRequest, address: Address): string | undefined {
    return this.requests(address).flatMap((holder) => clash(request, holder) ?? [])[0];
  }
}

/** Why two requests may not have one address. */
export function clash(a: AddressRequest, b: AddressRequest): string | undefined {
  if (a.service === b.service) return undefined;
  if (!a.sharingKey || !b.sharingKey) return "inUse";
  if (a.sharingKey !== b.sharingKey) return "sharingKeyMismatch";
  if (a.backendKey !== b.backendKey) return "backendKeyMismatch";
  const ports = [...a.ports, ...b.ports].map(({ port, protocol }) => `${port} ${protocol}`);
  return new Set(ports).size < ports.length ? "portClash" : undefined;
}

function misplaced(pools: readonly Pool[], address: Address, home: Pool | undefined): string | undefined {
  const pool = poolOf(pools, address);
  if (pool === undefined) return "outsidePools";
  if (!listed(pool).some((listed) => listed.equals(address))) return "buggyAddress";
  return home === undefined || home === pool ? undefined : "severalPools";
}

function poolOf(pools: readonly Pool[], address: Address): Pool | undefined {
  return pools.find((pool) => pool.ranges.some((range) => range.contains(address)));
}

/** Every address the pool hands out, in the order of its list. */
function listed(pool: Pool): Address[] {
  return pool.ranges.flatMap(({ first, size }) => {
    const all = Array.from({ length: Number(size) }, (_, i) => new Address(first.family, first.value + BigInt(i)));
    return pool.avoidBuggyIPs ? all.filter((address) => !/^\d.*\.(0|255)$/.test(String(address))) : all;
  });
}

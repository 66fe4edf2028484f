import type { Endpoint, EndpointSlice, Service } from "#pkg/k8s";
import type { Address } from "#pkg/net";
import { announcedAddresses, type Holder, hasNoAddresses, type NoAddresses } from "#pkg/placement";

interface Row {
  readonly service: Service;
  readonly addresses: readonly Address[] | NoAddresses;
}

/** Services and their endpoints as the API has them, found by the addresses in their status. */
export class ServiceTable {
  readonly #rows = new Map<string, Row>(); // service key -> Service
  readonly #holders = new Map<string, Set<string>>(); // address -> service keys
  readonly #slices = new Map<string, Map<string, EndpointSlice>>(); // service key -> slice key -> slice

  /** @returns the addresses whose placement may have changed */
  setService(key: string, service: Service | undefined): Address[] {
    const touched = this.addresses(key);
    for (const address of touched) this.#unhold(address.toString(), key);
    if (service === undefined) {
      this.#rows.delete(key);
      return [...touched];
    }
    this.#rows.set(key, { service, addresses: announcedAddresses(service) });
    const now = this.addresses(key);
    for (const address of now) this.#hold(address.toString(), key);
    return [...touched, ...now];
  }

  /** @returns the addresses whose placement may have changed */
  setSlice(key: string, now: EndpointSlice | undefined, before: EndpointSlice | undefined): Address[] {
    if (before !== undefined && before.service !== now?.service) {
      const slices = this.#slices.get(before.service);
      slices?.delete(key);
      if (slices?.size === 0) this.#slices.delete(before.service);
    }
    if (now !== undefined) {
      const slices = this.#slices.get(now.service) ?? new Map<string, EndpointSlice>();
      this.#slices.set(now.service, slices.set(key, now));
    }
    return [before?.service, now?.service].flatMap((service) => (service === undefined ? [] : [...this.addresses(service)]));
  }

  service(key: string): Service | undefined {
    return this.#rows.get(key)?.service;
  }

  services(): IterableIterator<string> {
    return this.#rows.keys();
  }

  /** What the Service's status holds; none where there is nothing to announce. */
  addresses(key: string): readonly Address[] {
    const addresses = this.#rows.get(key)?.addresses ?? [];
    return hasNoAddresses(addresses) ? [] : addresses;
  }

  /** Why `addresses` is empty. */
  noAddresses(key: string): NoAddresses | "serviceDeleted" | undefined {
    const row = this.#rows.get(key);
    if (row === undefined) return "serviceDeleted";
    return hasNoAddresses(row.addresses) ? row.addresses : undefined;
  }

  /** The Services with this address in their status, by key, so that the answer does not depend on the order of events. */
  holders(address: Address): Holder[] {
    const keys = [...(this.#holders.get(address.toString()) ?? [])].sort();
    return keys.flatMap((key) => {
      const service = this.#rows.get(key)?.service;
      if (service === undefined) return [];
      const { externalTrafficPolicy } = service;
      return [{ service: key, addresses: this.addresses(key), externalTrafficPolicy, endpoints: this.#endpoints(key) }];
    });
  }

  #endpoints(service: string): Endpoint[] {
    return [...(this.#slices.get(service)?.values() ?? [])].flatMap((slice) => slice.endpoints);
  }

  #hold(address: string, key: string): void {
    const keys = this.#holders.get(address);
    if (keys === undefined) this.#holders.set(address, new Set([key]));
    else keys.add(key);
  }

  #unhold(address: string, key: string): void {
    const keys = this.#holders.get(address);
    keys?.delete(key);
    if (keys?.size === 0) this.#holders.delete(address);
  }
}

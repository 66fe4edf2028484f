import type { Endpoint, EndpointSlice, Service } from "#pkg/k8s";
import type { Address } from "#pkg/net";
import type { Holder } from "#pkg/placement";
import { type NoAddresses, recordedAddresses, whyNoAddresses } from "#pkg/service";

interface Row {
  readonly service: Service;
  readonly addresses: readonly Address[];
}

/**
 * Services and their endpoints as the API has them, found by the addresses in their status. Most addresses have one Service, and most
 * Services one slice: these are in arrays of just their size (56 octets), because a Map (184) for each is 2 MB at 10,000 Services.
 */
export class ServiceTable {
  readonly #rows = new Map<string, Row>(); // service key -> Service
  readonly #holders = new Map<string, readonly string[]>(); // address -> service keys, in order
  readonly #slices = new Map<string, readonly EndpointSlice[]>(); // service key -> slices

  /** @returns the addresses whose placement may have changed */
  setService(key: string, service: Service | undefined): Address[] {
    const touched = this.addresses(key);
    for (const address of touched) this.#unhold(address.toString(), key);
    if (service === undefined) {
      this.#rows.delete(key);
      return [...touched];
    }
    this.#rows.set(key, { service, addresses: recordedAddresses(service) });
    const now = this.addresses(key);
    for (const address of now) this.#hold(address.toString(), key);
    return [...touched, ...now];
  }

  /** @returns the addresses whose placement may have changed */
  setSlice(key: string, now: EndpointSlice | undefined, before: EndpointSlice | undefined): Address[] {
    if (before !== undefined) put(this.#slices, before.service, this.#slicesBut(before.service, key));
    if (now !== undefined) put(this.#slices, now.service, this.#slicesBut(now.service, key).concat(now));
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
    return this.#rows.get(key)?.addresses ?? [];
  }

  /** Why `addresses` is empty. */
  noAddresses(key: string): NoAddresses | "serviceDeleted" | undefined {
    const row = this.#rows.get(key);
    if (row === undefined) return "serviceDeleted";
    return row.addresses.length === 0 ? whyNoAddresses(row.service) : undefined;
  }

  /** The Services with this address in their status, by key, so that the answer does not depend on the order of events. */
  holders(address: Address): Holder[] {
    const keys = this.#holders.get(address.toString()) ?? [];
    return keys.flatMap((key) => {
      const service = this.#rows.get(key)?.service;
      if (service === undefined) return [];
      const { externalTrafficPolicy } = service;
      return [{ service: key, addresses: this.addresses(key), externalTrafficPolicy, endpoints: this.#endpoints(key) }];
    });
  }

  #endpoints(service: string): Endpoint[] {
    return (this.#slices.get(service) ?? []).flatMap((slice) => slice.endpoints);
  }

  #slicesBut(service: string, key: string): readonly EndpointSlice[] {
    return (this.#slices.get(service) ?? []).filter((slice) => slice.key !== key);
  }

  #hold(address: string, key: string): void {
    this.#holders.set(address, (this.#holders.get(address) ?? []).concat(key).sort());
  }

  #unhold(address: string, key: string): void {
    const others = (this.#holders.get(address) ?? []).filter((each) => each !== key);
    put(this.#holders, address, others);
  }
}

function put<T>(lists: Map<string, readonly T[]>, key: string, list: readonly T[]): void {
  if (list.length === 0) lists.delete(key);
  else lists.set(key, list);
}

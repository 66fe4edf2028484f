import type { Endpoint, EndpointSlice, Service } from "#pkg/k8s";
import type { Address } from "#pkg/net";
import type { Holder } from "#pkg/placement";
import { type NoAddresses, recordedAddresses, whyNoAddresses } from "#pkg/service";

/**
 * Services and their endpoints as the API has them, found by the addresses in their status. Most addresses have one Service, and most
 * Services one slice: these are in arrays of just their size (56 bytes), because a Map (184) for each is 2 MB at 10,000 Services.
 */
export interface Services {
  readonly rows: Map<string, ServiceRow>; // service key -> Service
  readonly holders: Map<string, readonly string[]>; // address -> keys of the Services with it in their status, in order
  readonly slices: Map<string, readonly EndpointSlice[]>; // service key -> slices
}

export interface ServiceRow {
  readonly service: Service;
  /** What its status holds; none where there is nothing to announce. */
  readonly addresses: readonly Address[];
}

export function noServices(): Services {
  return { rows: new Map(), holders: new Map(), slices: new Map() };
}

/** The Service as the API has it; undefined when it is gone. @returns the addresses whose placement may have changed */
export function setService(services: Services, key: string, service: Service | undefined): readonly Address[] {
  const before = addressesOf(services, key);
  for (const address of before) removeHolder(services, address.toString(), key);
  if (service === undefined) {
    services.rows.delete(key);
    return before;
  }
  services.rows.set(key, { service, addresses: recordedAddresses(service) });
  const now = addressesOf(services, key);
  for (const address of now) addHolder(services, address.toString(), key);
  return [...before, ...now];
}

/** @returns the addresses whose placement may have changed */
export function setSlice(
  services: Services,
  key: string,
  now: EndpointSlice | undefined,
  before: EndpointSlice | undefined,
): readonly Address[] {
  const { slices } = services;
  if (before !== undefined) put(slices, before.service, slicesBut(services, before.service, key));
  if (now !== undefined) put(slices, now.service, slicesBut(services, now.service, key).concat(now));
  return [before?.service, now?.service].flatMap((service) => (service === undefined ? [] : addressesOf(services, service)));
}

/** What the Service's status holds; none where there is nothing to announce. */
export function addressesOf({ rows }: Services, key: string): readonly Address[] {
  return rows.get(key)?.addresses ?? [];
}

/** Why there are no addresses of the Service. */
export function whyWithoutAddresses({ rows }: Services, key: string): NoAddresses | "serviceDeleted" | undefined {
  const row = rows.get(key);
  if (row === undefined) return "serviceDeleted";
  return row.addresses.length === 0 ? whyNoAddresses(row.service) : undefined;
}

/** The Services with this address in their status, by key, so that the answer does not depend on the order of events. */
export function holdersOf(services: Services, address: Address): readonly Omit<Holder, "isAllowed">[] {
  const keys = services.holders.get(address.toString()) ?? [];
  return keys.flatMap((key) => {
    const service = services.rows.get(key)?.service;
    if (service === undefined) return [];
    return [
      {
        service: key,
        addresses: addressesOf(services, key),
        externalTrafficPolicy: service.externalTrafficPolicy,
        endpoints: endpointsOf(services, key),
      },
    ];
  });
}

function endpointsOf({ slices }: Services, service: string): Endpoint[] {
  return (slices.get(service) ?? []).flatMap((slice) => slice.endpoints);
}

function slicesBut({ slices }: Services, service: string, key: string): readonly EndpointSlice[] {
  return (slices.get(service) ?? []).filter((slice) => slice.key !== key);
}

function addHolder({ holders }: Services, address: string, key: string): void {
  holders.set(address, (holders.get(address) ?? []).concat(key).sort());
}

function removeHolder({ holders }: Services, address: string, key: string): void {
  put(
    holders,
    address,
    (holders.get(address) ?? []).filter((each) => each !== key),
  );
}

function put<T>(lists: Map<string, readonly T[]>, key: string, list: readonly T[]): void {
  if (list.length === 0) lists.delete(key);
  else lists.set(key, list);
}

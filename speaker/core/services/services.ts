import type { AsksFor } from "#pkg/config";
import type { EndpointSlice, Service } from "#pkg/k8s";
import type { Address, Family } from "#pkg/net";
import type { Holder, Labels } from "#pkg/placement";
import {
  asksFor,
  backendKeyOf,
  mayHoldSeveral,
  type NoAddresses,
  type NodeEndpoints,
  olderFirst,
  recordedAddresses,
  whyNoAddresses,
} from "#pkg/service";

/**
 * Services and their endpoints as the API has them, found by the addresses in their status. Most addresses have one Service, and most
 * Services one slice: these are in arrays of just their size (56 bytes), because a Map (184) for each is 2 MB at 10,000 Services.
 */
export interface Services {
  readonly rows: Map<string, ServiceRow>; // service key -> Service
  readonly holders: Map<string, string[]>; // address -> keys of the Services with it in their status, the oldest first
  readonly slices: Map<string, readonly SliceFields[]>; // service key -> slices
  readonly namespaces: Map<string, Labels>; // namespace -> its labels; empty unless the configuration asks for them
  /** For Services with several slices, those of each family together: service key -> family -> its endpoints. */
  readonly merged: Map<string, Map<Family | undefined, ByNode>>;
}

/** The fields of a slice that are read here, and recorded. */
export type SliceFields = Pick<EndpointSlice, "key" | "service" | "family" | "endpoints" | "idle">;

/** Node, undefined for the unknown one -> endpoints. */
type ByNode = Map<string | undefined, NodeEndpoints>;

export interface ServiceRow {
  readonly service: Service;
  /** The addresses in its status; empty if nothing is to be announced. */
  readonly addresses: readonly Address[];
}

/** A Service with an address, for callers that know the pools. */
export interface ServiceOnAddress extends Omit<Holder, "isAllowed" | "goesWith"> {
  readonly addresses: readonly Address[];
  readonly mayHoldSeveral: boolean;
  readonly asksFor: AsksFor;
}

export function noServices(): Services {
  return { rows: new Map(), holders: new Map(), slices: new Map(), namespaces: new Map(), merged: new Map() };
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
  now: SliceFields | undefined,
  before: Pick<SliceFields, "service"> | undefined,
): readonly Address[] {
  if (before !== undefined) removeSlice(services, before.service, key);
  if (now !== undefined) addSlice(services, now);
  return [before?.service, now?.service].flatMap((service) => (service === undefined ? [] : addressesOf(services, service)));
}

/** The addresses in the Service's status; empty if nothing is to be announced. */
export function addressesOf({ rows }: Services, key: string): readonly Address[] {
  return rows.get(key)?.addresses ?? [];
}

/** Why there are no addresses of the Service. */
export function whyWithoutAddresses({ rows }: Services, key: string): NoAddresses | "serviceDeleted" | undefined {
  const row = rows.get(key);
  if (row === undefined) return "serviceDeleted";
  return row.addresses.length === 0 ? whyNoAddresses(row.service) : undefined;
}

/** The keys of the Services with this address in their status, the oldest first, so that the answer does not depend on the order of events. */
export function holderKeys(services: Services, address: string): readonly string[] {
  return services.holders.get(address) ?? [];
}

/** The Services with these keys, which have an address of the family, for callers that know the pools. */
export function holdersWith(services: Services, keys: readonly string[], family: Family): readonly ServiceOnAddress[] {
  return keys.flatMap((key) => {
    const service = services.rows.get(key)?.service;
    if (service === undefined) return [];
    return [
      {
        service: key,
        addresses: addressesOf(services, key),
        mayHoldSeveral: mayHoldSeveral(service),
        asksFor: (address, pool) => asksFor(service, address, pool.name),
        externalTrafficPolicy: service.externalTrafficPolicy,
        created: service.created,
        backendKey: keys.length > 1 ? backendKeyOf(service) : "", // Nobody compares that of one alone.
        endpoints: endpointsOf(services, key, family),
      },
    ];
  });
}

/**
 * The endpoints that serve an address of the family: those of the same family, which alone kube-proxy takes, where there are any. Else, and
 * without a family, those of all slices together; a Pod that is in slices of both families counts once.
 */
export function endpointsOf({ slices, merged }: Services, service: string, family?: Family): readonly NodeEndpoints[] {
  const several = merged.get(service);
  if (several === undefined) return slices.get(service)?.[0]?.endpoints ?? [];
  const own = family && several.get(family);
  if (own !== undefined) return [...own.values()];
  const [first = new Map<string | undefined, NodeEndpoints>(), ...others] = several.values();
  const all: ByNode = others.length === 0 ? first : new Map(first);
  for (const { nodeName, ready, draining } of others.flatMap((nodes) => [...nodes.values()])) {
    const known = all.get(nodeName) ?? { ready: 0, draining: 0 };
    all.set(nodeName, { nodeName, ready: Math.max(known.ready, ready), draining: Math.max(known.draining, draining) });
  }
  return [...all.values()];
}

/** The endpoints of the family; those of a slice without a family count for any. kube-proxy itself refuses connections to a Service without endpoints. */
export function endpointsOfFamily({ slices, merged }: Services, service: string, family: Family): readonly NodeEndpoints[] {
  const several = merged.get(service);
  if (several !== undefined) return [...((several.get(family) ?? several.get(undefined))?.values() ?? [])];
  const [only] = slices.get(service) ?? [];
  return (only?.family ?? family) === family ? (only?.endpoints ?? []) : [];
}

/** Whether the node has a ready endpoint of the family: see `endpointsOfFamily`. */
export function isReadyOn({ slices, merged }: Services, service: string, node: string, family: Family): boolean {
  const several = merged.get(service);
  const [only] = slices.get(service) ?? [];
  if (several !== undefined) return ((several.get(family) ?? several.get(undefined))?.get(node)?.ready ?? 0) > 0;
  const isOfFamily = (only?.family ?? family) === family;
  return isOfFamily && only?.endpoints.some(({ nodeName, ready }) => nodeName === node && ready > 0) === true;
}

/** How many endpoints there are that serve nothing, in all its slices together. */
export function idleEndpointsOf({ slices }: Services, service: string): number {
  return (slices.get(service) ?? []).reduce((sum, { idle }) => sum + idle, 0);
}

function addSlice(services: Services, slice: SliceFields): void {
  const { slices, merged } = services;
  removeSlice(services, slice.service, slice.key);
  const others = slices.get(slice.service) ?? [];
  slices.set(slice.service, others.concat(slice));
  if (others.length === 0) return;
  const families: Map<Family | undefined, ByNode> = merged.get(slice.service) ?? new Map();
  if (families.size === 0) for (const other of others) countSlice(families, other, 1);
  merged.set(slice.service, families);
  countSlice(families, slice, 1);
}

function removeSlice({ slices, merged }: Services, service: string, key: string): void {
  const all = slices.get(service) ?? [];
  const slice = all.find((each) => each.key === key);
  if (slice === undefined) return;
  const others = all.filter((each) => each !== slice);
  put(slices, service, others);
  const families = merged.get(service);
  if (others.length < 2) merged.delete(service);
  else if (families !== undefined) countSlice(families, slice, -1);
}

/** Families without endpoints are left out. */
function countSlice(families: Map<Family | undefined, ByNode>, { family, endpoints }: SliceFields, sign: 1 | -1): void {
  const nodes: ByNode = families.get(family) ?? new Map();
  count(nodes, endpoints, sign);
  if (nodes.size === 0) families.delete(family);
  else families.set(family, nodes);
}

/** Adds endpoints to the counts of their nodes, or subtracts them. A Service may have 1,000 slices, of which one changes. */
function count(nodes: ByNode, endpoints: readonly NodeEndpoints[], sign: 1 | -1): void {
  for (const { nodeName, ready, draining } of endpoints) {
    const before = nodes.get(nodeName) ?? { ready: 0, draining: 0 };
    const now = { nodeName, ready: before.ready + sign * ready, draining: before.draining + sign * draining };
    if (now.ready + now.draining === 0) nodes.delete(nodeName);
    else nodes.set(nodeName, now);
  }
}

// Thousands may share an address: none of them is moved one by one, and none is sorted again.
function addHolder(services: Services, address: string, key: string): void {
  const keys = services.holders.get(address);
  if (keys === undefined) services.holders.set(address, [key]);
  else keys.splice(placeOf(services, keys, key), 0, key);
}

function removeHolder(services: Services, address: string, key: string): void {
  const { holders } = services;
  const keys = holders.get(address) ?? [];
  const at = placeOf(services, keys, key);
  if (keys[at] === key) keys.splice(at, 1);
  if (keys.length === 0) holders.delete(address);
}

/** Where the key is in the order, or would be. */
function placeOf({ rows }: Services, keys: readonly string[], key: string): number {
  const createdOf = (each: string) => rows.get(each)?.service.created ?? 0;
  const own = { key, created: createdOf(key) };
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const other = keys[middle] ?? "";
    if (olderFirst({ key: other, created: createdOf(other) }, own) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function put<T>(lists: Map<string, readonly T[]>, key: string, list: readonly T[]): void {
  if (list.length === 0) lists.delete(key);
  else lists.set(key, list);
}

export function policyOf({ services }: { readonly services: Services }, key: string): "Cluster" | "Local" {
  return services.rows.get(key)?.service.externalTrafficPolicy ?? "Cluster";
}

import {
  type Allocation,
  type Allocator,
  awaitedOf,
  counterText,
  holdersOf,
  type Refusal,
  type ReservedFor,
} from "#pkg/allocator";
import type { Address, Family } from "#pkg/net";
import { type AddressRequest, namespaceOf } from "#pkg/service";
import type { Wait } from "./wait-list.ts";

/** The addresses of a Service and the terms on which others may share them. */
export interface AllocationTerms {
  readonly allocation: Allocation | undefined;
  readonly sharingKey: string;
  /** The other terms of sharing; empty without a sharing key. */
  readonly terms: string;
  /** IPAMs are asked for these on its behalf, as text. Quotas count them, too. */
  readonly asked: string;
}

export function termsOf(
  allocation: Allocation | undefined,
  request: AddressRequest | undefined,
  asked: ReturnType<Allocator["asked"]>,
): AllocationTerms {
  const sharingKey = request?.sharingKey ?? "";
  return {
    allocation,
    sharingKey,
    terms: request === undefined || sharingKey === "" ? "" : termsText(request),
    asked: asked.map(({ pool, family }) => `${family} of ${pool}`).join(),
  };
}

/** Addresses, reservations and quotas after a change. */
export type Known = Pick<Allocator, "isHeld" | "reservedFor" | "hasReserved" | "quotasOf" | "held">;

/**
 * Resources that have to change before a refused request is worth another try: an address, a full pool or a used quota. Every other refusal
 * waits for another configuration or another request, and both lead to a new decision anyway.
 */
export function waitsOf(request: AddressRequest, refusal: Refusal, known: Pick<Known, "hasReserved" | "quotasOf">): Wait[] {
  const { service, sharingKey } = request;
  switch (refusal.reason) {
    case "reservedInUse":
      return [...holdersOf(service).map(freeFor), ...(sharingKey === "" ? [] : [sharedBy(sharingKey)])].map(ownWait);
    case "awaitsIpam":
    case "poolFull":
      return [
        ...waits(request, freeInPool(refusal.pool, refusal.family), sharedBy(sharingKey)),
        ...(known.hasReserved ? holdersOf(service).map((holder) => ownWait(freeFor(holder))) : []),
        // Quotas do not count an address that an exhausted IPAM chose for it: the address goes back when others use the quota.
        ...(refusal.reason === "awaitsIpam" && refusal.exhausted
          ? known.quotasOf(namespaceOf(service)).map(usedOf).map(ownWait)
          : []),
      ];
    case "noPoolFits": {
      // While an IPAM is asked for an address of one pool, nothing of another IPAM's helps: others there must not wait for this one.
      const awaited: readonly Refusal[] = awaitedOf(refusal);
      const counts = (inner: Refusal) => inner.reason !== "awaitsIpam" || awaited.includes(inner);
      return refusal.pools.filter(counts).flatMap((inner) => waitsOf(request, inner, known));
    }
    case "quotaExceeded": {
      const { quota, namespace, together } = refusal;
      const own = counterText({ quota, namespace: together ? undefined : namespace });
      if (sharingKey === "") return [ownWait(freedOf(own))];
      // Several of its quotas may each forbid some of the addresses that it could share. One that its namespace has already costs nothing.
      return [...known.quotasOf(namespace).map(freedOf), sharedBy(sharingKey)].map(ownWait);
    }
    case "notGranted":
      return sharingKey === "" ? [] : [ownWait(sharedAddress(refusal.address, sharingKey))];
    case "occupied":
    case "recordedElsewhere":
    case "inUse":
    case "sharingKeyMismatch":
    case "backendKeyMismatch":
    case "portClash":
    case "sharingOff":
    case "sharedByTooMany":
      return waits(request, freeAddress(refusal.address), sharedAddress(refusal.address, sharingKey));
    default:
      return [];
  }
}

/**
 * An address that nobody holds suits whoever comes first, unless it takes more than one: then it suits only those that lack as much.
 * Sharing depends on the terms besides. The addresses of any pool are one resource: of 10,000 full pools a Service may wait for each.
 */
function waits({ mayHoldSeveral, sharingKey }: AddressRequest, free: string, shared: string): Wait[] {
  const waitForFree = { resource: free, suitsAnybody: !mayHoldSeveral };
  return sharingKey === "" ? [waitForFree] : [waitForFree, ownWait(shared)];
}

function ownWait(resource: string): Wait {
  return { resource, suitsAnybody: false };
}

function termsText({ service, backendKey, ports }: AddressRequest): string {
  return [namespaceOf(service), backendKey, ...ports.map(({ protocol, port }) => `${protocol}/${port}`).sort()].join(" ");
}

/** Resources that become available to others when one Service's addresses or terms change. `known` is about the time after. */
export function changedResources(service: string, before: AllocationTerms, after: AllocationTerms, known: Known): Set<string> {
  const resources = new Set<string>();
  if (isSame(before, after)) return resources;
  for (const counter of known.quotasOf(namespaceOf(service))) {
    if (before.allocation !== undefined || before.asked !== "") resources.add(freedOf(counter));
    if (after.allocation !== undefined) resources.add(usedOf(counter));
  }
  for (const { allocation, sharingKey } of [before, after]) {
    if (allocation === undefined) continue;
    for (const [index, address] of allocation.addresses.entries()) {
      const pool = allocation.pools[index] ?? "";
      if (!known.isHeld(address)) for (const free of freedResources(pool, address, known)) resources.add(free);
      else if (sharingKey !== "") resources.add(sharedAddress(address, sharingKey)).add(sharedBy(sharingKey));
    }
  }
  return resources;
}

/**
 * Resources that become available to others when an address is free again. A Service that asked for this very address comes before a
 * Service that would take any.
 */
export function freedResources(pool: string, address: Address, known: Pick<Known, "reservedFor">): readonly string[] {
  const reservedFor = known.reservedFor(address);
  return [freeAddress(address), reservedFor === undefined ? freeInPool(pool, address.family) : freeFor(reservedFor)];
}

/** The resource that becomes available to others when a Service gives up something that a counter of a quota counts. */
export function freedOf(counter: string): string {
  return `freed of ${counter}`;
}

/** The resource that changes when a Service takes something that a counter of a quota counts. */
function usedOf(counter: string): string {
  return `used of ${counter}`;
}

function isSame(a: AllocationTerms, b: AllocationTerms): boolean {
  const isSameTerms = a.sharingKey === b.sharingKey && a.terms === b.terms && a.asked === b.asked;
  return isSameTerms && isSameAllocation(a.allocation, b.allocation);
}

export function isSameAllocation(a: Allocation | undefined, b: Allocation | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.pools.join() === b.pools.join() && a.addresses.join() === b.addresses.join();
}

// Names of pools may hold anything, so they are quoted: no resource can be read as another.
export function freeInPool(pool: string, family: Family): string {
  return `free ${family} in ${JSON.stringify(pool)}`;
}

function freeFor(holder: ReservedFor): string {
  return `free for ${Object.values(holder).join(" ")}`;
}

/** A Service that asked for an address of another one waits for this resource. */
export function freeAddress(address: Address): string {
  return `free ${address}`;
}

function sharedBy(sharingKey: string): string {
  return `shared by ${sharingKey}`;
}

function sharedAddress(address: Address, sharingKey: string): string {
  return `shared ${address} by ${sharingKey}`;
}

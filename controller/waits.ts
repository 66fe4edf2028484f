import type { Allocation, Refusal } from "#pkg/allocator";
import type { Address, Family } from "#pkg/net";
import type { AddressRequest } from "#pkg/service";
import type { Wait } from "./wait-list.ts";

/** What a Service holds and the terms on which others may share it. */
export interface AllocationTerms {
  readonly allocation: Allocation | undefined;
  readonly sharingKey: string;
  /** The other terms of sharing, as in `Wait.terms`; empty without a sharing key. */
  readonly terms: string;
}

export function termsOf(allocation: Allocation | undefined, request: AddressRequest | undefined): AllocationTerms {
  const sharingKey = request?.sharingKey ?? "";
  return { allocation, sharingKey, terms: request === undefined || sharingKey === "" ? "" : termsText(request) };
}

/**
 * What has to change before a refused request is worth another try: an address or a full pool. Every other refusal waits for another
 * configuration or another request, and both lead to a new decision anyway.
 */
export function waitsOf(request: AddressRequest, refusal: Refusal): Wait[] {
  switch (refusal.reason) {
    case "poolFull":
      return waits(request, freeInPool(refusal.pool, refusal.family), sharedInPool(refusal.pool, request.sharingKey));
    case "noPoolFits":
      return refusal.pools.flatMap((inner) => waitsOf(request, inner));
    case "occupied":
    case "inUse":
    case "sharingKeyMismatch":
    case "backendKeyMismatch":
    case "portClash":
      return waits(request, freeAddress(refusal.address), sharedAddress(refusal.address, request.sharingKey));
    default:
      return [];
  }
}

/** An address that nobody holds suits whoever comes first. Sharing depends on the terms. */
function waits(request: AddressRequest, free: string, shared: string): Wait[] {
  const waitForFree = { resource: free, terms: "" };
  return request.sharingKey === "" ? [waitForFree] : [waitForFree, { resource: shared, terms: termsText(request) }];
}

function termsText({ backendKey, ports }: AddressRequest): string {
  return [backendKey, ...ports.map(({ protocol, port }) => `${protocol}/${port}`).sort()].join(" ");
}

/** What changes for others when one Service holds something else, or on other terms. `isHeld` is about the time after. */
export function changedResources(
  before: AllocationTerms,
  after: AllocationTerms,
  isHeld: (address: Address) => boolean,
): Set<string> {
  const resources = new Set<string>();
  if (isSame(before, after)) return resources;
  for (const { allocation, sharingKey } of [before, after]) {
    if (allocation === undefined) continue;
    for (const address of allocation.addresses) {
      // Who asked for this very address comes before who would take any.
      if (!isHeld(address)) resources.add(freeAddress(address)).add(freeInPool(allocation.pool, address.family));
      else if (sharingKey !== "")
        resources.add(sharedAddress(address, sharingKey)).add(sharedInPool(allocation.pool, sharingKey));
    }
  }
  return resources;
}

/** What changes for others when an address that another host of the network had is free again. */
export function freedResources(pool: string, address: Address): readonly string[] {
  return [freeAddress(address), freeInPool(pool, address.family)];
}

function isSame(a: AllocationTerms, b: AllocationTerms): boolean {
  return a.sharingKey === b.sharingKey && a.terms === b.terms && isSameAllocation(a.allocation, b.allocation);
}

export function isSameAllocation(a: Allocation | undefined, b: Allocation | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.pool === b.pool && a.addresses.join() === b.addresses.join();
}

// Names of pools may hold anything, so they are quoted: no resource can be read as another.
function freeInPool(pool: string, family: Family): string {
  return `free ${family} in ${JSON.stringify(pool)}`;
}

function freeAddress(address: Address): string {
  return `free ${address}`;
}

function sharedInPool(pool: string, sharingKey: string): string {
  return `shared in ${JSON.stringify(pool)} by ${sharingKey}`;
}

function sharedAddress(address: Address, sharingKey: string): string {
  return `shared ${address} by ${sharingKey}`;
}

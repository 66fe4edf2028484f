import type { Allocation, Refusal } from "#pkg/allocator";
import type { Address, Family } from "#pkg/net";
import type { AddressRequest } from "#pkg/service";
import type { Wait } from "./wait-list.ts";

/** What a Service holds and the terms on which others may join it. */
export interface Tenure {
  readonly allocation: Allocation | undefined;
  readonly sharingKey: string;
  /** The other terms of sharing, as in `Wait.shape`; empty without a sharing key. */
  readonly shape: string;
}

export function tenureOf(allocation: Allocation | undefined, request: AddressRequest | undefined): Tenure {
  const sharingKey = request?.sharingKey ?? "";
  return { allocation, sharingKey, shape: request === undefined || sharingKey === "" ? "" : shapeOf(request) };
}

/**
 * What has to move before a refused request is worth another try: an address or a full pool. Every other refusal waits for another
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

/** An address that nobody holds suits whoever comes first. Joining others depends on the terms. */
function waits(request: AddressRequest, free: string, shared: string): Wait[] {
  const waitForFree = { topic: free, shape: "" };
  return request.sharingKey === "" ? [waitForFree] : [waitForFree, { topic: shared, shape: shapeOf(request) }];
}

function shapeOf({ backendKey, ports }: AddressRequest): string {
  return [backendKey, ...ports.map(({ protocol, port }) => `${protocol}/${port}`).sort()].join(" ");
}

/** What moves when the tenure of one Service changes. `isHeld` tells of the time after. */
export function topicsOf(before: Tenure, after: Tenure, isHeld: (address: Address) => boolean): Set<string> {
  const topics = new Set<string>();
  if (isSame(before, after)) return topics;
  for (const { allocation, sharingKey } of [before, after]) {
    if (allocation === undefined) continue;
    for (const address of allocation.addresses) {
      // Who asked for this very address comes before who would take any.
      if (!isHeld(address)) topics.add(freeAddress(address)).add(freeInPool(allocation.pool, address.family));
      else if (sharingKey !== "") topics.add(sharedAddress(address, sharingKey)).add(sharedInPool(allocation.pool, sharingKey));
    }
  }
  return topics;
}

/** What moves when an address that another host of the network had is free again. */
export function vacantTopics(pool: string, address: Address): readonly string[] {
  return [freeAddress(address), freeInPool(pool, address.family)];
}

function isSame(a: Tenure, b: Tenure): boolean {
  return a.sharingKey === b.sharingKey && a.shape === b.shape && isSameAllocation(a.allocation, b.allocation);
}

export function isSameAllocation(a: Allocation | undefined, b: Allocation | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.pool === b.pool && a.addresses.join() === b.addresses.join();
}

// Names of pools may hold anything, so they are quoted: no topic can be read as another.
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

import type { Address, Family } from "#pkg/net";
import type { Port } from "#pkg/service";

/**
 * The addresses of a Service, all from one pool if it does not ask for several: an address of each of its families, or of only one family
 * where the other could not be had and giving up the first would help nobody. The order is that of the Service's status: the pool's list
 * for addresses chosen here, as text for one requested of each family, as asked for where it asks for more, as recorded for adopted ones.
 */
export interface Allocation {
  readonly addresses: readonly Address[];
  /** The pool of each address. */
  readonly pools: readonly string[];
}

/** The pools of an allocation, each once. */
export function poolsOf({ pools }: Allocation): readonly string[] {
  return [...new Set(pools)];
}

/** How things stand with a Service after its request was looked at. */
export interface Settlement {
  /** The present holding. */
  readonly allocation: Allocation | undefined;
  /** The part of the request that was not met, although the Service may hold something else. */
  readonly unmet: Refusal | undefined;
  /** Why it has an address of one family, where it prefers both (`AddressRequest.prefersDualStack`). */
  readonly lacking: Refusal | undefined;
  /** Why it would not be given what it holds, and keeps; undefined where it would. */
  readonly notAllowed: Refusal | undefined;
  /** The refusal of its own pool, if the Service gave its addresses up for those of another pool. */
  readonly left: Refusal | undefined;
}

/** An address in use that new pools have no place for. */
export interface Stranded {
  readonly service: string;
  readonly address: Address;
  readonly refusal: Refusal;
}

export interface PoolUsage {
  readonly pool: string;
  /** Addresses that can be handed out or are in use: without those that `avoid-buggy-ips` excludes, and others that nobody may have; the nearest double above 2^53. */
  readonly total: number;
  /** Addresses that are reserved for Services and namespaces. */
  readonly reserved: number;
  /** Addresses held by at least one Service. */
  readonly inUse: number;
  /** Families of which it has addresses, and none that is free. */
  readonly full: readonly Family[];
  /** Each family of which it has addresses. */
  readonly families: readonly FamilyUsage[];
  /** Addresses held by Services that would not be given them today. */
  readonly notAllowed: number;
  /** The problem of the pool's IPAM, in words. */
  readonly ipamProblem: string | undefined;
}

/** A pool's addresses of one family, counted like those of the pool. */
export interface FamilyUsage {
  readonly family: Family;
  readonly total: number;
  readonly inUse: number;
}

/** The state of one counter of a quota, for one of its limits. */
export interface QuotaUsage {
  /** Such as `quotas[0]`. */
  readonly quota: string;
  /** Undefined where the quota counts its namespaces together. */
  readonly namespace: string | undefined;
  readonly resource: "ipv4" | "ipv6" | "services";
  readonly limit: number;
  readonly used: number;
}

/** An address that an IPAM is to choose. */
export interface Ask {
  readonly pool: string;
  readonly family: Family;
}

/** Why an address, a pool or the whole request was refused. Every field names what was found. */
export type Refusal =
  | { readonly reason: "noPools" }
  /** `known` are the first existing pools, and `more` is the number of further ones. */
  | { readonly reason: "unknownPool"; readonly pool: string; readonly known: readonly string[]; readonly more: number }
  /** Nothing free in the pool, nor in use under terms that this Service may share. `total` is as in `PoolUsage`, of this family. */
  | { readonly reason: "poolFull"; readonly pool: string; readonly family: Family; readonly total: number }
  /** The pool gives the Service only reserved addresses, and they are in use. */
  | { readonly reason: "reservedInUse"; readonly pool: string; readonly family: Family }
  /** The pool has no address of this family at all. */
  | { readonly reason: "poolLacksFamily"; readonly pool: string; readonly family: Family }
  /**
   * No pool has an address; one entry for each pool in the file's order says what was tried there. Pools that are not for its namespace are
   * only counted.
   */
  | { readonly reason: "noPoolFits"; readonly pools: readonly Refusal[]; readonly namespace: string; readonly others: number }
  /** The pool's fence keeps the namespace out. */
  | { readonly reason: "notForNamespace"; readonly pool: string; readonly namespace: string }
  /** The pool's fence asks for other labels of the Service. */
  | { readonly reason: "notForService"; readonly pool: string }
  | { readonly reason: "poolClosed"; readonly pool: string }
  /** Kept for somebody else, or for nobody. */
  | { readonly reason: "reserved"; readonly address: Address; readonly pool: string }
  /** In use, and no two Services share an address of the pool. */
  | { readonly reason: "sharingOff"; readonly address: Address; readonly pool: string }
  /** The maximum number of Services share it. */
  | { readonly reason: "sharedByTooMany"; readonly address: Address; readonly limit: number }
  /** It has `used` without what it would give up, others of it wait for `asked` from an IPAM, and it `needs` more. No `pools` are all of them. */
  | {
      readonly reason: "quotaExceeded";
      readonly quota: string;
      readonly namespace: string;
      /** Counted with other namespaces. */
      readonly together: boolean;
      readonly pools: readonly string[];
      readonly resource: "ipv4" | "ipv6" | "services";
      readonly limit: number;
      readonly used: number;
      readonly asked: number;
      readonly needs: number;
    }
  /**
   * An IPAM chooses who gets which address of the pool, and has chosen only `granted` for the Service, which are too few; maybe it has none left.
   * `asks` is all that the Service would get of IPAMs.
   */
  | {
      readonly reason: "awaitsIpam";
      readonly pool: string;
      readonly family: Family;
      readonly granted: number;
      readonly exhausted: boolean;
      /** Absent for an IPAM without one. */
      readonly problem?: string;
      readonly asks: readonly Ask[];
    }
  /** The IPAM has not chosen this address for the Service. */
  | { readonly reason: "notGranted"; readonly address: Address; readonly pool: string }
  /** By the pool's IPAM it is in use by somebody else; `by` says who, as text. */
  | { readonly reason: "recordedElsewhere"; readonly address: Address; readonly pool: string; readonly by: string }
  | { readonly reason: "autoAssignOff"; readonly pool: string }
  | { readonly reason: "outsidePools"; readonly address: Address }
  /** `avoid-buggy-ips` keeps addresses ending in .0 and .255 out of use. */
  | { readonly reason: "buggyAddress"; readonly address: Address; readonly pool: string }
  | { readonly reason: "wrongPool"; readonly address: Address; readonly pool: string; readonly wanted: string }
  | { readonly reason: "severalPools"; readonly addresses: readonly Address[]; readonly pools: readonly string[] }
  /** The number of addresses that it would have. */
  | { readonly reason: "tooManyAddresses"; readonly addresses: number; readonly limit: number }
  /** The addresses are not one of each family that the Service has, or of a list not at least one of each. */
  | { readonly reason: "familyMismatch"; readonly wanted: readonly Family[]; readonly found: readonly Family[] }
  /** Another host of the network has it; `by` says who, as text. */
  | { readonly reason: "occupied"; readonly address: Address; readonly by: string }
  /** In use, and this Service or the holder has no sharing key; or the holder, of another namespace, is not to be told of. */
  | { readonly reason: "inUse"; readonly address: Address; readonly holder?: string }
  | {
      readonly reason: "sharingKeyMismatch";
      readonly address: Address;
      readonly holder: string;
      readonly key: string;
      readonly holderKey: string;
    }
  | {
      readonly reason: "backendKeyMismatch";
      readonly address: Address;
      readonly holder: string;
      readonly key: string;
      readonly holderKey: string;
    }
  | { readonly reason: "portClash"; readonly address: Address; readonly holder: string; readonly port: Port };

export function isRefusal(answer: object): answer is Refusal {
  return "reason" in answer;
}

/**
 * Addresses that an IPAM could choose for the Service with this refusal: of the first pool that has addresses left, else of all pools
 * without.
 */
export function awaitedOf(refusal: Refusal) {
  const all = refusal.reason === "noPoolFits" ? refusal.pools : [refusal];
  const awaited = all.filter((each) => each.reason === "awaitsIpam");
  const first = awaited.find(({ exhausted }) => !exhausted);
  return first === undefined ? awaited : [first];
}

/** What IPAMs are asked for. */
export function asksOf(refusal: Refusal): readonly Ask[] {
  return awaitedOf(refusal).flatMap(({ exhausted, asks }) => (exhausted ? [] : asks));
}

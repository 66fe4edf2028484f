import type { Address, Family } from "#pkg/net";
import type { Port } from "#pkg/service";

/**
 * What a Service holds, all from one pool: an address of each of its families, or of only one where the other could not be had
 * and giving up the first would help nobody. The order is that of the Service's status: the pool's list for addresses chosen
 * here, as text for requested ones, as recorded for adopted ones.
 */
export interface Allocation {
  readonly pool: string;
  readonly addresses: readonly Address[];
}

/** How things stand with a Service after its request was looked at. */
export interface Settlement {
  /** What it holds now. */
  readonly allocation: Allocation | undefined;
  /** What it asked for and did not get, although it may hold something else. */
  readonly unmet: Refusal | undefined;
}

/** An address in use that new pools have no place for. */
export interface Stranded {
  readonly service: string;
  readonly address: Address;
  readonly refusal: Refusal;
}

export interface PoolUsage {
  readonly pool: string;
  /** Addresses that can be handed out, without those that `avoid-buggy-ips` excludes; the nearest double above 2^53. */
  readonly total: number;
  /** Addresses held by at least one Service. */
  readonly inUse: number;
  /** Families of which it has addresses, and none that is free. */
  readonly full: readonly Family[];
}

/** Why an address, a pool or the whole request was refused. Every field names what was found. */
export type Refusal =
  | { readonly reason: "noPools" }
  | { readonly reason: "unknownPool"; readonly pool: string; readonly known: readonly string[] }
  /** Nothing free in the pool, nor in use under terms that this Service may share. `total` is as in `PoolUsage`, of this family. */
  | { readonly reason: "poolFull"; readonly pool: string; readonly family: Family; readonly total: number }
  /** The pool has no address of this family at all. */
  | { readonly reason: "poolLacksFamily"; readonly pool: string; readonly family: Family }
  /** Nothing in any pool with auto-assign; one entry per pool in the file's order, also those with auto-assign off. */
  | { readonly reason: "noPoolFits"; readonly pools: readonly Refusal[] }
  | { readonly reason: "autoAssignOff"; readonly pool: string }
  | { readonly reason: "outsidePools"; readonly address: Address }
  /** `avoid-buggy-ips` keeps addresses ending in .0 and .255 out of use. */
  | { readonly reason: "buggyAddress"; readonly address: Address; readonly pool: string }
  | { readonly reason: "wrongPool"; readonly address: Address; readonly pool: string; readonly wanted: string }
  | { readonly reason: "severalPools"; readonly addresses: readonly Address[]; readonly pools: readonly string[] }
  /** The addresses are not one of each family that the Service has. */
  | { readonly reason: "familyMismatch"; readonly wanted: readonly Family[]; readonly found: readonly Family[] }
  /** Another host of the network has it; `by` says who, as text. */
  | { readonly reason: "occupied"; readonly address: Address; readonly by: string }
  /** In use, and this Service or the holder has no sharing key. */
  | { readonly reason: "inUse"; readonly address: Address; readonly holder: string }
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

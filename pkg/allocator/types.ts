import type { Address, Family } from "#pkg/net";

/** What a Service asks for: everything an allocation depends on, and nothing else. */
export interface Claim {
  /** `namespace/name`. */
  readonly service: string;
  /** Of `spec.clusterIPs`, in that order; one or two, each once. */
  readonly families: readonly Family[];
  readonly ports: readonly ClaimedPort[];
  /** Of the annotation `allow-shared-ip`; empty when the Service shares with nobody. */
  readonly sharingKey: string;
  /** The selector as a sorted label string under `externalTrafficPolicy: Local`, else empty. Services on one address must agree on it. */
  readonly backendKey: string;
  /** Asked for by `spec.loadBalancerIP` or the annotation; at most one of each family; empty for any. */
  readonly requestedAddresses: readonly Address[];
  /** Asked for by the annotation `address-pool`. */
  readonly requestedPool: string | undefined;
}

export interface ClaimedPort {
  /** `TCP`, `UDP` or `SCTP`. */
  readonly protocol: string;
  readonly port: number;
}

/** What a Service holds: one address of each family it asked for, all from one pool, in the order of `Claim.families`. */
export interface Allocation {
  readonly pool: string;
  readonly addresses: readonly Address[];
}

/** Why an address, a pool or the whole claim was refused. Every field names what was found. */
export type Refusal =
  | { readonly reason: "noPools" }
  | { readonly reason: "unknownPool"; readonly pool: string; readonly known: readonly string[] }
  | { readonly reason: "poolFull"; readonly pool: string; readonly family: Family }
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
  | { readonly reason: "portClash"; readonly address: Address; readonly holder: string; readonly port: ClaimedPort };

/**
 * Knows who holds each address, and decides which address a Service gets: pools with their order, auto-assign and
 * `avoid-buggy-ips`; requested addresses and pools; both families from one pool; sharing by key, backend and port. Pure: no
 * I/O, no clock, no randomness. `pkg/service` reads Services and annotations; the controller writes status and events.
 *
 * Addresses are numbered in the order in which they are tried (`layout.ts`), and addresses in use are kept as intervals of
 * such numbers (`intervals.ts`). Giving and freeing take logarithmic time, and memory grows with the held addresses, never
 * with a pool.
 */
export { Allocator } from "./allocator.ts";
export { describe, facts, finding, remedy } from "./describe.ts";
export { holdersOf, isFor, type ReservedFor } from "./holders.ts";
export { type IpamChange, type IpamPool, ipamChanges } from "./ipam.ts";
export { portText } from "./occupancy.ts";
export { type PoolFacts, poolFacts, type ReservedFacts } from "./pool-facts.ts";
export { counterText } from "./quotas.ts";
export {
  type Allocation,
  awaitedOf,
  type PoolUsage,
  poolsOf,
  type QuotaUsage,
  type Refusal,
  type Settlement,
  type Stranded,
} from "./types.ts";

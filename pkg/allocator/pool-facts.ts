import { formatProtocols, type Pool, type ReservationHolder } from "#pkg/config";
import type { Family } from "#pkg/net";
import type { PoolUsage } from "./types.ts";

/**
 * The facts about a pool that are shown: the controller answers with them under `/v1`, and `ingotctl` and the dashboard use
 * them unchanged.
 */
export interface PoolFacts extends Pick<PoolUsage, "pool" | "total" | "inUse" | "families"> {
  /** In one text. */
  readonly protocol: string;
  /** Families of which it has addresses, and none that is free. */
  readonly full: readonly Family[];
  /** Each `first-last`, in the order of the configuration. */
  readonly ranges: readonly string[];
  /** Parts of them that are kept. */
  readonly reserved: readonly ReservedFacts[];
  /** IPv4 addresses that end in .0 or .255 are never assigned. */
  readonly avoidBuggyIPs: boolean;
  /** Nobody gets a new address. */
  readonly closed: boolean;
  /** No Service gets an address of which NetBox has somebody else's record. */
  readonly netbox: boolean;
}

/** Reserved addresses and their owner; without either for nobody. */
export interface ReservedFacts {
  readonly ranges: readonly string[];
  readonly service?: string;
  readonly namespace?: string;
}

/** @param usage of the same pool */
export function poolFacts(pool: Pool, { total, inUse, full, families }: PoolUsage): PoolFacts {
  return {
    pool: pool.name,
    protocol: formatProtocols(pool.protocols),
    total,
    inUse,
    families,
    full,
    ranges: pool.ranges.map(String),
    reserved: pool.reservations.map(({ ranges, holder }) => ({ ranges: ranges.map(String), ...keptFor(holder) })),
    avoidBuggyIPs: pool.avoidBuggyIPs,
    closed: pool.closed,
    netbox: pool.netbox !== undefined,
  };
}

function keptFor({ type: _, ...holder }: ReservationHolder): Pick<ReservedFacts, "service" | "namespace"> {
  return holder;
}

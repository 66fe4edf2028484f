import type { Pool } from "#pkg/config";
import { families } from "#pkg/net";
import type { Occupancy } from "./occupancy.ts";
import { hasFamily } from "./spots.ts";
import type { PoolUsage } from "./types.ts";

/** Addresses of the pool that exist and that are in use. */
export function poolUsage(pool: Pool, occupancy: Occupancy): Omit<PoolUsage, "notAllowed" | "ipamProblem"> {
  const { layout } = occupancy;
  const reserved = layout.reservedSize(pool, "IPv4") + layout.reservedSize(pool, "IPv6");
  const total = layout.size(pool, "IPv4") + layout.size(pool, "IPv6") + reserved;
  const inUse = occupancy.inUse(pool.name);
  const own = families.filter((family) => hasFamily(pool, family));
  return {
    pool: pool.name,
    total: Number(total),
    reserved: Number(reserved),
    inUse: inUse.IPv4 + inUse.IPv6,
    full: own.filter((family) => !occupancy.hasFree(layout.span(pool, family))),
    families: own.map((family) => {
      const size = layout.size(pool, family) + layout.reservedSize(pool, family);
      return { family, total: Number(size), inUse: inUse[family] };
    }),
  };
}

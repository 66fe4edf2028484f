import type { Pool } from "#pkg/config";
import { type Family, families } from "#pkg/net";
import type { Rules } from "./filling.ts";
import { hasFamily } from "./spots.ts";
import type { PoolUsage } from "./types.ts";

/** Addresses of the pool that exist and that are in use. */
export function poolUsage(
  pool: Pool,
  { occupancy, ipam }: Pick<Rules, "occupancy" | "ipam">,
): Omit<PoolUsage, "notAllowed" | "ipamProblem"> {
  const { layout } = occupancy;
  const [inUse, ofNobody] = [occupancy.inUse(pool.name), occupancy.inUseOfNobody(pool.name)];
  const own = families.filter((family) => hasFamily(pool, family));
  const sizes = own.map((family) => {
    const reserved = layout.reservedSize(pool, family);
    return { family, reserved, total: layout.size(pool, family) + reserved + BigInt(ofNobody[family]) };
  });
  // Where some are for all Services, these count: who has no reservation gets nothing once they are in use.
  const isInUse = (family: Family) =>
    layout.size(pool, family) > 0n
      ? !occupancy.hasFree(layout.span(pool, family))
      : inUse[family] - ofNobody[family] >= layout.reservedSize(pool, family);
  return {
    pool: pool.name,
    total: Number(sizes.reduce((sum, { total }) => sum + total, 0n)),
    reserved: Number(sizes.reduce((sum, { reserved }) => sum + reserved, 0n)),
    inUse: inUse.IPv4 + inUse.IPv6,
    full: own.filter((family) => isInUse(family) || ipam.isExhausted(pool.name, family)),
    families: sizes.map(({ family, total }) => ({ family, total: Number(total), inUse: inUse[family] })),
  };
}

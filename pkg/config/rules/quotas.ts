import type { Pool, Quota } from "../config.ts";
import { type Place, readNames } from "../problems.ts";
import type { RawList, RawQuota } from "../shape/raw.ts";
import { readNamespaces } from "./tenancy.ts";

/** Reads `quotas`. */
export function readQuotas(raw: RawList<RawQuota> | undefined, places: Place, pools: readonly Pool[]): Quota[] {
  const known = new Set(pools.map(({ name }) => name));
  const quotas: Quota[] = [];
  for (const [fields, at] of places.each(raw)) {
    const { ipv4, ipv6, services, together = false } = fields;
    if (ipv4 === undefined && ipv6 === undefined && services === undefined)
      at.error('limits nothing: at least one of "ipv4", "ipv6" and "services" is needed');
    const names = readNames(fields.pools, at.in("pools"), "address-pools", known);
    quotas.push({ ...readNamespaces(fields, at), pools: names, together, ipv4, ipv6, services });
  }
  return quotas;
}

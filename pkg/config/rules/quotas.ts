import type { Pool, Quota } from "../config.ts";
import { type Problems, readNames } from "../problems.ts";
import type { RawList, RawQuota } from "../shape/raw.ts";
import { readNamespaces } from "./tenancy.ts";

/** Reads `quotas`. */
export function readQuotas(raw: RawList<RawQuota>, pools: readonly Pool[], problems: Problems): Quota[] {
  const known = new Set(pools.map(({ name }) => name));
  const quotas: Quota[] = [];
  for (const [index, fields] of raw.entries()) {
    if (fields === undefined) continue;
    const path = ["quotas", index];
    const { ipv4, ipv6, services, together = false } = fields;
    if (ipv4 === undefined && ipv6 === undefined && services === undefined)
      problems.error(path, 'limits nothing: at least one of "ipv4", "ipv6" and "services" is needed');
    const names = readNames(fields.pools, [...path, "pools"], "address-pools", known, problems);
    quotas.push({ ...readNamespaces(fields, path, problems), pools: names, together, ipv4, ipv6, services });
  }
  return quotas;
}

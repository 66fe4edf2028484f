import { quote } from "#pkg/text";
import type { Pool, Quota } from "../config.ts";
import { noSuchName, type Path, type Problems } from "../problems.ts";
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
    const names = readPoolNames(fields.pools ?? [], [...path, "pools"], known, problems);
    quotas.push({ ...readNamespaces(fields, path, problems), pools: names, together, ipv4, ipv6, services });
  }
  return quotas;
}

function readPoolNames(raw: RawList<string>, path: Path, known: ReadonlySet<string>, problems: Problems): string[] {
  const places = new Map<string, number>(); // name -> index
  for (const [index, name] of raw.entries()) {
    if (name === undefined) continue;
    const before = places.get(name);
    if (!known.has(name)) problems.error([...path, index], () => noSuchName("address-pools", name, known));
    else if (before !== undefined) problems.error([...path, index], `${quote(name)} is already pools[${before}]`);
    places.set(name, before ?? index);
  }
  return [...places.keys()];
}

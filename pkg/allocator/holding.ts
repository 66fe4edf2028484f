import type { Pool } from "#pkg/config";
import type { AddressRequest } from "#pkg/service";
import type { Rules } from "./filling.ts";
import type { Holding, Terms } from "./occupancy.ts";
import type { Choice } from "./spots.ts";

/** The wishes on which a Service was settled, to be compared with its next ones. */
export function wishesOf({ families, prefersDualStack, requestedPool, requestedAddresses }: AddressRequest): string {
  return [...families, ...(prefersDualStack ? ["or one"] : []), ...requestedAddresses, requestedPool].join(" ");
}

export function put({ occupancy, quotas }: Rules, holding: Holding): void {
  occupancy.put(holding);
  quotas.count(holding.terms.service, holding.slots, occupancy, 1);
}

export function holdingOf(terms: Terms, choice: Choice, settledFor: string): Holding {
  const addresses = choice.map(({ address }) => address);
  return { terms, allocation: { addresses, pools: poolNames(choice) }, slots: choice.map(({ slot }) => slot), settledFor };
}

const alike = new WeakMap<Pool, (readonly string[])[]>(); // pool -> by number of addresses: its name, repeated

/** Most Services have addresses of one pool; these share one list. */
function poolNames(choice: Choice): readonly string[] {
  const pool = choice[0]?.pool;
  if (pool === undefined || choice.some((spot) => spot.pool !== pool)) return choice.map((spot) => spot.pool.name);
  const known = alike.get(pool) ?? [];
  alike.set(pool, known);
  known[choice.length] ??= choice.map(() => pool.name);
  return known[choice.length] ?? [];
}

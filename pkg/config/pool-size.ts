import type { AddressRange } from "#pkg/net";
import { soundBelow } from "./buggy.ts";
import type { Pool } from "./config.ts";

/** How many addresses the pool can hand out: all, less those that `avoid-buggy-ips` holds back. */
export function countUsable(pool: Pool): bigint {
  return pool.ranges.reduce((sum, range) => sum + countUsableIn(pool, range), 0n);
}

/** How many of them are in one of its ranges. */
export function countUsableIn({ avoidBuggyIPs }: Pool, { family, first, last, size }: AddressRange): bigint {
  return avoidBuggyIPs && family === "IPv4" ? soundBelow(last.value + 1n) - soundBelow(first.value) : size;
}

import type { AddressRange } from "#pkg/net";
import type { Pool } from "./config.ts";

/** How many addresses the pool can hand out: all, less those that `avoid-buggy-ips` holds back. */
export function countUsable(pool: Pool): bigint {
  return pool.ranges.reduce((sum, range) => sum + range.size - (pool.avoidBuggyIPs ? countBuggy(range) : 0n), 0n);
}

/** IPv4 addresses of the range that end in .0 or .255. */
function countBuggy(range: AddressRange): bigint {
  if (range.family !== "IPv4") return 0n;
  const endingIn = (octet: bigint, below: bigint) => (below + 255n - octet) / 256n; // Among the addresses from 0 up to `below`.
  const after = range.last.value + 1n;
  const first = range.first.value;
  return endingIn(0n, after) - endingIn(0n, first) + endingIn(255n, after) - endingIn(255n, first);
}

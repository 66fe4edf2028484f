import type { Family } from "#pkg/net";
import { aggregationLength } from "./aggregation-length.ts";
import { type Budget, canMeet } from "./can-meet.ts";
import { formatCommunity } from "./community.ts";
import type { BgpAdvertisement } from "./config.ts";
import type { Path } from "./problem.ts";
import type { Report } from "./report.ts";

/** Warns where a peer may hear of the same prefix by two advertisements of one pool, with attributes of which one set must lose. */
export function warnOfRepeatedPrefixes(
  family: Family,
  advertisements: ReadonlyMap<number, BgpAdvertisement>, // index -> advertisement
  path: Path,
  budget: Budget,
  report: Report,
): void {
  const earlier = new Map<number, { index: number; attributes: string; advertisement: BgpAdvertisement }[]>(); // length -> in order
  for (const [index, advertisement] of advertisements) {
    const length = aggregationLength(advertisement, family);
    const attributes = attributesOf(advertisement, family);
    const others = earlier.get(length) ?? [];
    const other = others.findLast((one) => one.attributes !== attributes && canMeet(one.advertisement, advertisement, budget));
    if (other !== undefined) {
      const what = `announces the same ${family} /${length} prefixes as bgp-advertisements[${other.index}] of this pool`;
      report.warn([...path, index], `${what}, with other attributes; the last one wins`);
    }
    others.push({ index, attributes, advertisement });
    earlier.set(length, others);
  }
}

function attributesOf(advertisement: BgpAdvertisement, family: Family): string {
  const { localPref, communities, med, asPathPrepend, nextHop, nextHopV6, weightByEndpoints } = advertisement;
  const next = family === "IPv4" ? nextHop : nextHopV6;
  return JSON.stringify([localPref ?? 0, communities.map(formatCommunity).sort(), med, asPathPrepend, next, weightByEndpoints]);
}

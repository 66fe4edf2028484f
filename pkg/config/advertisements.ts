import { type Family, families, type Prefix } from "#pkg/net";
import { readCommunities } from "./communities.ts";
import { formatCommunity } from "./community.ts";
import type { BgpAdvertisement, Community } from "./config.ts";
import type { Path } from "./problem.ts";
import type { RawAdvertisement, RawList } from "./raw.ts";
import type { Report } from "./report.ts";

const byDefault: BgpAdvertisement = { aggregationLength: 32, aggregationLengthV6: 128, localPref: undefined, communities: [] };

/** Reads `bgp-advertisements` of one pool; `entries` are the CIDRs of each of its addresses. None is one with the defaults. */
export function readAdvertisements(
  raw: RawList<RawAdvertisement>,
  path: Path,
  aliases: ReadonlyMap<string, Community>,
  entries: readonly (readonly Prefix[])[],
  report: Report,
): readonly BgpAdvertisement[] {
  const advertisements: BgpAdvertisement[] = [];
  const narrowest = new Map(families.map((family) => [family, narrowestEntry(entries, family)])); // What bounds the lengths.
  const seen = new Map<string, number>(); // text of the fields -> index
  const announced = new Map<string, { index: number; attributes: string }>(); // family and length -> the last to announce it
  for (const [index, fields] of raw.entries()) {
    if (fields === undefined) continue;
    const here = [...path, index];
    const text = JSON.stringify(Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1)));
    const same = seen.get(text);
    if (same !== undefined) report.error(here, `repeats bgp-advertisements[${same}] of this pool`);
    else seen.set(text, index);
    const advertisement = {
      aggregationLength: fields["aggregation-length"] ?? byDefault.aggregationLength,
      aggregationLengthV6: fields["aggregation-length-v6"] ?? byDefault.aggregationLengthV6,
      localPref: fields.localpref,
      communities: readCommunities(fields.communities ?? [], [...here, "communities"], aliases, report),
    };
    advertisements.push(advertisement);
    const attributes = attributesOf(advertisement);
    for (const family of families) {
      const bound = narrowest.get(family);
      if (bound === undefined) continue; // No address of this family is in the pool.
      const [field, length] =
        family === "IPv4"
          ? ["aggregation-length", advertisement.aggregationLength]
          : ["aggregation-length-v6", advertisement.aggregationLengthV6];
      if (length < bound.length)
        report.error(
          [...here, field],
          `/${length} would announce more than the pool holds, whose entry ${bound} allows no shorter one`,
        );
      const other = announced.get(`${family}/${length}`);
      if (other !== undefined && other.attributes !== attributes) {
        const what = `announces the same ${family} /${length} prefixes as bgp-advertisements[${other.index}] of this pool`;
        report.warn(here, `${what}, with other attributes; the last one wins`);
      }
      announced.set(`${family}/${length}`, { index, attributes });
    }
  }
  return advertisements.length === 0 ? [byDefault] : advertisements;
}

/** Of the shortest prefix of each entry, the longest: an aggregate shorter than that announces addresses outside the pool. */
function narrowestEntry(entries: readonly (readonly Prefix[])[], family: Family): Prefix | undefined {
  let narrowest: Prefix | undefined;
  for (const cidrs of entries) {
    if (cidrs[0]?.family !== family) continue;
    const shortest = cidrs.reduce((a, b) => (b.length < a.length ? b : a));
    if (narrowest === undefined || shortest.length > narrowest.length) narrowest = shortest;
  }
  return narrowest;
}

function attributesOf(advertisement: BgpAdvertisement): string {
  return JSON.stringify([advertisement.localPref ?? 0, advertisement.communities.map(formatCommunity).sort()]);
}

import { type Family, families, type Prefix } from "#pkg/net";
import { communityForms, formatCommunity, parseCommunity } from "./community.ts";
import type { BgpAdvertisement, Community } from "./config.ts";
import { type Path, quote } from "./problem.ts";
import type { RawAdvertisement, RawList } from "./raw.ts";
import type { Report } from "./report.ts";

/** An entry of a pool's `addresses` as its fewest CIDRs. */
export interface PoolEntry {
  readonly path: Path;
  readonly cidrs: readonly Prefix[];
}

const byDefault: BgpAdvertisement = { aggregationLength: 32, aggregationLengthV6: 128, localPref: undefined, communities: [] };

/** Reads `bgp-advertisements` of one pool; `entries` are its addresses. None is one with the defaults. */
export function readAdvertisements(
  raw: RawList<RawAdvertisement>,
  path: Path,
  aliases: ReadonlyMap<string, Community>,
  entries: readonly PoolEntry[],
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
        const attempt = `announces the same ${family} /${length} prefixes as bgp-advertisements[${other.index}] of this pool`;
        report.warn(here, `${attempt}, with other attributes; the last one wins`);
      }
      announced.set(`${family}/${length}`, { index, attributes });
    }
  }
  return advertisements.length === 0 ? [byDefault] : advertisements;
}

/** Of the shortest prefix of each entry, the longest: an aggregate shorter than that announces addresses outside the pool. */
function narrowestEntry(entries: readonly PoolEntry[], family: Family): Prefix | undefined {
  let narrowest: Prefix | undefined;
  for (const { cidrs } of entries) {
    if (cidrs[0]?.family !== family) continue;
    const shortest = cidrs.reduce((a, b) => (b.length < a.length ? b : a));
    if (narrowest === undefined || shortest.length > narrowest.length) narrowest = shortest;
  }
  return narrowest;
}

function attributesOf(advertisement: BgpAdvertisement): string {
  return JSON.stringify([advertisement.localPref ?? 0, advertisement.communities.map(formatCommunity).sort()]);
}

/**
 * Octets of an UPDATE (RFC 4271, section 4: at most 4096 in all) that are kept for everything but communities. The fixed parts,
 * every other attribute and one IPv6 prefix take at most 106; the rest is for communities added while shutting down.
 */
const updateLength = 4096 - 128;

function readCommunities(raw: RawList<string>, path: Path, aliases: ReadonlyMap<string, Community>, report: Report): Community[] {
  const texts = new Map<string, number>(); // as written -> index
  const communities = new Map<string, Community>(); // canonical text -> community
  for (const [index, text] of raw.entries()) {
    if (text === undefined) continue;
    const here = [...path, index];
    const same = texts.get(text);
    if (same !== undefined) {
      report.error(here, `${quote(text)} is already listed as communities[${same}]`);
      continue;
    }
    texts.set(text, index);
    const community = aliases.get(text) ?? parseCommunity(text);
    if (community === undefined) {
      report.error(here, `must be an alias from bgp-communities, ${communityForms}; but is ${quote(text)}`);
      continue;
    }
    const canonical = formatCommunity(community);
    if (communities.has(canonical)) report.warn(here, `${quote(text)} is ${canonical}, which is already listed`);
    communities.set(canonical, community);
  }
  const all = [...communities.values()];
  const large = all.filter(({ type }) => type === "large").length;
  const octets = attributeLength(all.length - large, 4) + attributeLength(large, 12);
  if (octets > updateLength)
    report.error(path, `these ${all.length} communities take ${octets} octets, but a BGP UPDATE has room for ${updateLength}`);
  return all;
}

/** Octets of a path attribute with so many values, each of `size` octets (RFC 4271, section 4.3: up to 4 for flags, type and length). */
function attributeLength(values: number, size: number): number {
  return values === 0 ? 0 : 4 + values * size;
}

import { type Address, type AddressRange, type Family, families, isLinkLocal, type Prefix, parsePrefix } from "#pkg/net";
import type { BgpAdvertisement, Community } from "../config.ts";
import { type Place, readNames } from "../problems.ts";
import type { RawAdvertisement, RawList } from "../shape/raw.ts";
import { formatCommunity, readCommunities } from "./communities.ts";
import { readAddress } from "./peer-path.ts";
import { type Budget, canMeet, readSelectors } from "./selectors.ts";
import { isForSome, mayAsk, readServicePolicy } from "./service-policy.ts";

/** Names that advertisements may refer to. */
export interface KnownNames {
  readonly communities: ReadonlyMap<string, Community>; // alias -> community
  /** Names. */
  readonly peers: ReadonlySet<string>;
}

/** Reads `bgp-advertisements` of one pool; `ranges` are its addresses. None is one with the defaults. */
export function readAdvertisements(
  raw: RawList<RawAdvertisement>,
  at: Place,
  known: KnownNames,
  ranges: readonly AddressRange[],
  budget: Budget,
): readonly BgpAdvertisement[] {
  const advertisements = new Map<number, BgpAdvertisement>(); // index -> advertisement
  const narrowest = narrowestEntries(ranges);
  const seen = new Map<string, number>(); // text of the fields -> index
  for (const [fields, here, index] of at.each(raw)) {
    const text = JSON.stringify(Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1)));
    const same = seen.get(text);
    if (same !== undefined) here.error(`repeats bgp-advertisements[${same}] of this pool`);
    else seen.set(text, index);
    advertisements.set(index, readAdvertisement(fields, here, known, narrowest));
  }
  for (const family of narrowest.keys()) warnOfRepeatedPrefixes(family, advertisements, at, budget);
  return advertisements.size === 0 ? [readAdvertisement({}, at, known, narrowest)] : [...advertisements.values()];
}

function readAdvertisement(fields: RawAdvertisement, at: Place, known: KnownNames, narrowest: Narrowest): BgpAdvertisement {
  return {
    ...readLengths(fields, at, narrowest),
    keepMoreSpecifics: fields["keep-more-specifics"] ?? false,
    localPref: fields.localpref,
    communities: readCommunities(fields.communities ?? [], at.in("communities"), known.communities),
    med: fields.med,
    asPathPrepend: fields["as-path-prepend"] ?? 0,
    peers: readNames(fields.peers, at.in("peers"), "peers", known.peers),
    nodeSelectors: readSelectors(fields["node-selectors"] ?? [], at.in("node-selectors")),
    nextHop: readNextHop(fields["next-hop"] || undefined, "IPv4", at.in("next-hop")),
    nextHopV6: readNextHop(fields["next-hop-v6"] || undefined, "IPv6", at.in("next-hop-v6")),
    weightByEndpoints: fields.weight === "endpoints",
    ...readServicePolicy(fields, at, known.communities),
  };
}

function readNextHop(text: string | undefined, family: Family, at: Place): Address | undefined {
  const address = readAddress(text, at);
  if (address === undefined) return undefined;
  const other = family === "IPv4" ? "next-hop-v6" : "next-hop";
  if (address.family !== family) at.error(`must be an ${family} address, but is ${address}, which belongs in ${other}`);
  else if (!canBeNextHop(address))
    at.error(`${address} cannot be a next hop: it must be the address of one router, valid on any link`);
  else return address;
  return undefined;
}

const noNextHops = ["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/127", "ff00::/8"].flatMap(
  (text) => parsePrefix(text) ?? [],
);

function canBeNextHop(address: Address): boolean {
  return !isLinkLocal(address) && !noNextHops.some((prefix) => prefix.contains(address));
}

type Lengths = Pick<BgpAdvertisement, "aggregationLength" | "aggregationLengthV6">;
type RawLengths = Pick<RawAdvertisement, "aggregation-length" | "aggregation-length-v6">;
/** Family -> the smallest among the largest prefixes of a pool's ranges of that family. */
type Narrowest = ReadonlyMap<Family, Prefix>;

/** Refuses lengths of aggregates that have addresses outside the pool. */
export function readLengths(fields: RawLengths, at: Place, narrowest: Narrowest): Lengths {
  const lengths = {
    aggregationLength: fields["aggregation-length"] ?? 32,
    aggregationLengthV6: fields["aggregation-length-v6"] ?? 128,
  };
  for (const [family, entry] of narrowest) {
    const length = aggregationLength(lengths, family);
    if (length < entry.length)
      at.in(family === "IPv4" ? "aggregation-length" : "aggregation-length-v6").error(
        `/${length} would announce more than the pool holds, whose entry ${entry} allows no shorter one`,
      );
  }
  return lengths;
}

export function narrowestEntries(ranges: readonly AddressRange[]): Narrowest {
  const narrowest = new Map<Family, Prefix>();
  for (const family of families)
    for (const { largestPrefix } of ranges.filter((range) => range.family === family))
      if (largestPrefix.length > (narrowest.get(family)?.length ?? -1)) narrowest.set(family, largestPrefix);
  return narrowest;
}

interface Announced {
  readonly index: number;
  readonly attributes: string;
  readonly advertisement: BgpAdvertisement;
}

/** Warns where a peer may hear of the same prefix by two advertisements of one pool, with attributes of which one set must lose. */
export function warnOfRepeatedPrefixes(
  family: Family,
  advertisements: ReadonlyMap<number, BgpAdvertisement>, // index -> advertisement
  at: Place,
  budget: Budget,
): void {
  const earlier = new Map<number, Announced[]>(); // length -> in order
  for (const [index, advertisement] of advertisements) {
    const attributes = attributesOf(advertisement, family);
    for (const length of lengthsOf(advertisement, family)) {
      const others = earlier.get(length) ?? [];
      // One for some Services is meant to take the place of others.
      const other = isForSome(advertisement) ? undefined : lastThatMeets(others, attributes, advertisement, budget);
      if (other !== undefined) {
        const isAsked = [advertisement, other.advertisement].some((one) => aggregationLength(one, family) !== length);
        const whose = isAsked ? " for Services that ask for attributes" : "";
        const what = `announces the same ${family} /${length} prefixes as bgp-advertisements[${other.index}] of this pool${whose}`;
        at.in(index).warn(`${what}, with other attributes; the last one wins`);
      }
      others.push({ index, attributes, advertisement });
      earlier.set(length, others);
    }
  }
}

/** How long its prefixes are: a Service that asks for attributes has a route of its own. */
function lengthsOf(advertisement: BgpAdvertisement, family: Family): ReadonlySet<number> {
  const length = aggregationLength(advertisement, family);
  return new Set(mayAsk(advertisement) ? [length, family === "IPv4" ? 32 : 128] : [length]);
}

/** The last of `others` that one peer may hear of beside this one, with other attributes. Once the budget is spent only the very last is looked at. */
function lastThatMeets(
  others: readonly Announced[],
  attributes: string,
  advertisement: BgpAdvertisement,
  budget: Budget,
): Announced | undefined {
  for (let i = others.length - 1; i >= 0; i--) {
    const other = others[i];
    if (other?.attributes !== attributes && other && canMeet(other.advertisement, advertisement, budget)) return other;
    if (--budget.comparisons < 0) return undefined;
  }
  return undefined;
}

function attributesOf(advertisement: BgpAdvertisement, family: Family): string {
  const { localPref, communities, med, asPathPrepend, nextHop, nextHopV6, weightByEndpoints } = advertisement;
  const next = family === "IPv4" ? nextHop : nextHopV6;
  const asked = [advertisement.communitiesFrom, advertisement.medFrom, advertisement.localPrefFrom];
  const names = [...(advertisement.communitiesFrom?.allowed.keys() ?? [])];
  const own = [localPref ?? 0, communities.map(formatCommunity).sort(), med, asPathPrepend, next, weightByEndpoints];
  return JSON.stringify([...own, asked, names]);
}

/** How long the announced prefixes of a family are. */
export function aggregationLength(advertisement: Lengths, family: Family): number {
  return family === "IPv4" ? advertisement.aggregationLength : advertisement.aggregationLengthV6;
}

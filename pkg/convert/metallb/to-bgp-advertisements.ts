import { type BgpAdvertisement, formatCommunity, isWellKnownCommunity, type Pool } from "#pkg/config";
import type { Family } from "#pkg/net";
import { quote } from "#pkg/text";
import type { Report } from "../report.ts";
import { allNodes, complement, intersect, isSame, type Nodes, nodesOfConfig, toSelectors } from "../selectors.ts";
import type { Spec } from "./schemas.ts";

/** An advertisement as the text writes it, besides its meaning. */
export interface WrittenAdvertisement {
  readonly communities?: readonly (string | undefined)[];
}

/** An advertisement for some peers; undefined for all. */
interface Part {
  readonly peers: readonly string[] | undefined;
  readonly reach: Reach;
}

/** The nodes that make a route, and the Services that it is made for. */
interface Reach {
  readonly nodes: Nodes;
  readonly services: Nodes;
}

const noAggregate = { aggregationLength: 32, aggregationLengthV6: 128 } as const;

/**
 * The `spec`s of BGPAdvertisements that tell every peer what the pool's entries do. Here the last entry for a prefix, peer and node counts
 * alone, with MetalLB all count together: from an earlier one, peers and nodes that a later one reaches are taken out.
 * @param peers every peer that is converted: name here -> name there
 */
export function bgpSpecs(
  pool: Pool,
  poolName: string,
  written: readonly (WrittenAdvertisement | undefined)[],
  peers: ReadonlyMap<string, string>,
  report: Report,
): Spec<"BGPAdvertisement">[] {
  const has = (family: Family) => pool.ranges.some((range) => range.family === family);
  const families = { ipv4: has("IPv4"), ipv6: has("IPv6") };
  const isAggregate = ({ aggregationLength, aggregationLengthV6 }: BgpAdvertisement) =>
    (families.ipv4 && aggregationLength !== 32) || (families.ipv6 && aggregationLengthV6 !== 128);
  const isSelectiveAggregate = (advertisement: BgpAdvertisement) =>
    isAggregate(advertisement) && !isSame(reachOf(advertisement).services, allNodes);
  return pool.advertisements.flatMap((advertisement, index) => {
    const what = `pool ${quote(pool.name)}, bgp-advertisements[${index}]`;
    if (advertisement.aggregationLength === 0 || advertisement.aggregationLengthV6 === 0) {
      report.lose(what, "an aggregation length of 0: MetalLB takes 1 and more; it is left out");
      return [];
    }
    if (isSelectiveAggregate(advertisement)) {
      report.lose(what, "service-selectors: MetalLB refuses them beside an aggregation length; it is left out");
      return [];
    }
    tellLosses(advertisement, what, report);
    const later = pool.advertisements
      .slice(index + 1)
      .filter((other) => !isSelectiveAggregate(other) && overlaps(families, advertisement, other, what, report));
    const communities = communitiesOf(advertisement, written[index]);
    return partsOf(advertisement, later, peers, what, report).map(({ peers: names, reach }) => {
      const selectors = toSelectors(reach.nodes);
      // A later entry may be for some Services, and for the same prefixes of one family; that is told of already.
      const serviceSelectors = isAggregate(advertisement) ? undefined : toSelectors(reach.services);
      const { aggregationLength, aggregationLengthV6 } = serviceSelectors === undefined ? advertisement : noAggregate;
      return {
        ipAddressPools: [poolName],
        ...(aggregationLength !== 32 && { aggregationLength }),
        ...(aggregationLengthV6 !== 128 && { aggregationLengthV6 }),
        ...(advertisement.localPref !== undefined && { localPref: advertisement.localPref }),
        ...(communities.length > 0 && { communities }),
        ...(names !== undefined && { peers: names.map((name) => peers.get(name) ?? name) }),
        ...(selectors !== undefined && { nodeSelectors: selectors }),
        ...(serviceSelectors !== undefined && { serviceSelectors }),
      };
    });
  });
}

/** Communities as written, if they are names from `bgp-communities`; MetalLB does not know the well-known names. */
function communitiesOf({ communities }: BgpAdvertisement, written: WrittenAdvertisement | undefined): string[] {
  const numbers = communities.map(formatCommunity);
  const texts = written?.communities ?? [];
  return numbers.map((number, index) => {
    const text = texts.length === numbers.length ? texts[index] : undefined;
    return text !== undefined && !isWellKnownCommunity(text) ? text : number;
  });
}

function overlaps(
  { ipv4, ipv6 }: { readonly ipv4: boolean; readonly ipv6: boolean },
  one: BgpAdvertisement,
  other: BgpAdvertisement,
  what: string,
  report: Report,
): boolean {
  const same4 = ipv4 && one.aggregationLength === other.aggregationLength;
  const same6 = ipv6 && one.aggregationLengthV6 === other.aggregationLengthV6;
  if (same4 !== same6 && ipv4 && ipv6)
    report.lose(
      what,
      "a later entry makes the same prefixes of one family alone: where both apply, MetalLB makes those of the later one only",
    );
  return same4 || same6;
}

function partsOf(
  advertisement: BgpAdvertisement,
  later: readonly BgpAdvertisement[],
  known: ReadonlyMap<string, string>,
  what: string,
  report: Report,
): Part[] {
  const { peers: named } = advertisement;
  const own = reachOf(advertisement);
  const names = named.length === 0 ? [...known.keys()] : named.filter((name) => known.has(name));
  if (named.length > 0 && names.length === 0) {
    report.lose(what, "none of its peers is there; it is left out");
    return [];
  }
  if (names.length === 0) names.push(""); // Of peers that are still to come, later entries take the same from this one.
  const byReach = new Map<string, { readonly reach: Reach; readonly names: string[] }>(); // reach as text -> peers
  for (const name of names) {
    const left = reachLeft(
      own,
      later.filter(({ peers }) => peers.length === 0 || peers.includes(name)),
    );
    if (left === undefined)
      report.lose(
        what,
        `too many selectors exclude nodes or Services for peer ${quote(name)}: it counts together with later entries`,
      );
    for (const reach of left ?? [own]) {
      const key = JSON.stringify(reach);
      const same = byReach.get(key) ?? { reach, names: [] };
      same.names.push(name);
      byReach.set(key, same);
    }
  }
  return [...byReach.values()].map((part) => ({
    reach: part.reach,
    peers: named.length === 0 && part.names.length === Math.max(known.size, 1) ? undefined : part.names,
  }));
}

function reachOf({ nodeSelectors, services }: BgpAdvertisement): Reach {
  return { nodes: nodesOfConfig(nodeSelectors), services: nodesOfConfig(services.serviceSelectors) };
}

// Entries that one has to give way to, and what is left of it then: more make selectors that nobody reads.
const maxLater = 64;
const maxReaches = 16;

/** The part of an entry's reach in which no later entry counts. @returns undefined when that takes too many selectors */
function reachLeft(own: Reach, later: readonly BgpAdvertisement[]): readonly Reach[] | undefined {
  const reaches = later.map(reachOf);
  const isAll = (selected: Nodes) => isSame(selected, allNodes);
  if (reaches.some(({ nodes, services }) => isAll(nodes) && isAll(services))) return [];
  if (later.length > maxLater) return undefined;
  let left: readonly Reach[] = [own];
  for (const { nodes, services } of reaches) {
    const [otherNodes, otherServices] = [complement(nodes), complement(services)];
    if (otherNodes === undefined || otherServices === undefined) return undefined;
    const parts = left.flatMap((each) => [
      { nodes: intersect(each.nodes, otherNodes), services: each.services },
      { nodes: each.nodes, services: intersect(each.services, otherServices) },
    ]);
    const next: Reach[] = [];
    for (const part of parts) {
      if (part.nodes === undefined || part.services === undefined) return undefined;
      if (part.nodes.length > 0 && part.services.length > 0) next.push({ nodes: part.nodes, services: part.services });
    }
    if (next.length > maxReaches) return undefined;
    left = next;
  }
  return left;
}

function tellLosses(advertisement: BgpAdvertisement, what: string, report: Report): void {
  const { med, asPathPrepend, nextHop, nextHopV6, weightByEndpoints, services } = advertisement;
  const lost: [boolean, string][] = [
    [advertisement.keepMoreSpecifics, "keep-more-specifics"],
    [med !== undefined, `med ${med}`],
    [asPathPrepend > 0, `as-path-prepend ${asPathPrepend}`],
    [nextHop !== undefined, `next-hop ${nextHop}`],
    [nextHopV6 !== undefined, `next-hop-v6 ${nextHopV6}`],
    [weightByEndpoints, "weight: endpoints"],
    [services.namespaces.length > 0, "namespaces"],
    [services.namespaceSelectors.length > 0, "namespace-selectors"],
    [advertisement.communitiesFrom !== undefined, "communities-from"],
    [advertisement.medFrom !== undefined, "med-from"],
    [advertisement.localPrefFrom !== undefined, "localpref-from"],
  ];
  for (const [isLost, field] of lost) if (isLost) report.lose(what, `${field}: MetalLB has nothing like it`);
}

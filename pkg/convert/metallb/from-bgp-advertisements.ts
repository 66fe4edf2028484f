import { list, quote } from "#pkg/text";
import { type ManifestObject, title } from "../objects.ts";
import type { Report } from "../report.ts";
import { allNodes, intersect, isSame, type Nodes, toConfigSelectors, unite } from "../selectors.ts";
import type { ConvertedPeer } from "./from-peers.ts";
import type { Spec } from "./schemas.ts";

/** A BGPAdvertisement of one pool. */
export interface BgpAdvertisement
  extends Pick<Spec<"BGPAdvertisement">, "aggregationLength" | "aggregationLengthV6" | "localPref"> {
  readonly object: ManifestObject;
  readonly communities: readonly string[];
  /** Undefined for all. */
  readonly peers: readonly string[] | undefined;
  readonly nodes: Nodes;
  /** Those that it is made for. */
  readonly services: Nodes;
}

/** The families of the pool's addresses. */
export interface PoolFamilies {
  readonly ipv4: boolean;
  readonly ipv6: boolean;
}

const maxCombined = 4; // Advertisements for one peer and prefix with selectors of their own: fifteen entries.

/**
 * The entries of `bgp-advertisements` that tell every peer what these advertisements do. With MetalLB all of them that apply to a prefix, peer
 * and node count together; here the last one counts alone, so that each combination becomes an entry, the most special one last.
 */
export function convertBgpAdvertisements(
  advertisements: readonly BgpAdvertisement[],
  families: PoolFamilies,
  peers: readonly ConvertedPeer[],
  report: Report,
): object[] {
  const there = peers.filter(({ entry }) => entry !== undefined).map(({ name }) => name);
  const known = new Set(peers.map(({ name }) => name));
  const groups = Map.groupBy(advertisements, (each) => lengthsKey(each, families));
  warnOfOverlap([...groups.values()], families, report);
  return [...groups.values()].flatMap((group) => {
    const byPeers = new Map<string, { readonly together: BgpAdvertisement[]; readonly names: string[] }>(); // advertisements -> peers
    for (const name of there) {
      const together = group.filter((each) => each.peers === undefined || each.peers.includes(name));
      if (together.length === 0) continue;
      const key = together.map((each) => group.indexOf(each)).join();
      const same = byPeers.get(key) ?? { together, names: [] };
      same.names.push(name);
      byPeers.set(key, same);
    }
    for (const { object, peers: named = [] } of group)
      for (const [index, name] of named.entries())
        if (!known.has(name))
          report.approximate(object, `spec.peers names ${quote(name)}, which is no BGPPeer; it is left out`, [
            "spec",
            "peers",
            index,
          ]);
    if (known.size === 0) return combine(group, undefined, report);
    return [...byPeers.values()].flatMap(({ together, names }) => {
      const isForAll = names.length === there.length && together.some(({ peers }) => peers === undefined);
      return combine(together, isForAll ? undefined : names, report);
    });
  });
}

/** Equal for advertisements that make the same prefixes of the pool. */
function lengthsKey(
  { aggregationLength = 32, aggregationLengthV6 = 128 }: BgpAdvertisement,
  { ipv4, ipv6 }: PoolFamilies,
): string {
  return `${ipv4 ? aggregationLength : ""}/${ipv6 ? aggregationLengthV6 : ""}`;
}

function warnOfOverlap(groups: readonly (readonly BgpAdvertisement[])[], { ipv4, ipv6 }: PoolFamilies, report: Report): void {
  if (!ipv4 || !ipv6) return;
  for (const [index, as] of groups.entries())
    for (const bs of groups.slice(index + 1)) {
      const [[a], [b]] = [as, bs];
      if (a === undefined || b === undefined) continue;
      const wants = new Set(
        [...as, ...bs].map((each) => JSON.stringify([attributes([each]), each.nodes, each.services, each.peers])),
      );
      if (wants.size === 1) continue;
      const same4 = (a.aggregationLength ?? 32) === (b.aggregationLength ?? 32);
      const same6 = (a.aggregationLengthV6 ?? 128) === (b.aggregationLengthV6 ?? 128);
      if (same4 || same6)
        report.lose(
          b.object,
          `makes the same ${same4 ? "IPv4" : "IPv6"} prefixes as ${title(a.object)}, but others of the other family: for the same ones it counts alone`,
        );
    }
}

/** Entries for peers that the same advertisements reach. */
function combine(together: readonly BgpAdvertisement[], peers: readonly string[] | undefined, report: Report): object[] {
  const [first] = together;
  if (first === undefined) return [];
  const isAlike = together.every((each) => attributes([each]) === attributes([first]));
  const hasSameNodes = together.every(({ nodes }) => isSame(nodes, first.nodes));
  const hasSameServices = together.every(({ services }) => isSame(services, first.services));
  const areInOne = [isAlike, hasSameNodes, hasSameServices].filter(Boolean).length > 1;
  if (areInOne) return [entryOf(together, peers, unitedReach(together), report)];
  if (together.length > maxCombined) return [tooMany(together, peers, report)];
  const entries = new Map<string, object>(); // nodes and services as text -> entry; of equal ones the later counts
  for (const subset of combinations(together)) {
    const nodes = intersectAll(subset.map((each) => each.nodes));
    const services = intersectAll(subset.map((each) => each.services));
    if (nodes === undefined || services === undefined) return [tooMany(together, peers, report)];
    const key = JSON.stringify([nodes, services]);
    entries.delete(key);
    if (nodes.length > 0 && services.length > 0) entries.set(key, entryOf(subset, peers, { nodes, services }, report));
  }
  return [...entries.values()];
}

function tooMany(together: readonly BgpAdvertisement[], peers: readonly string[] | undefined, report: Report): object {
  const [first] = together;
  if (first !== undefined)
    report.lose(
      first.object,
      `${others(together)} have too many selectors of their own: every node and every Service that any of them selects counts for all`,
      ["spec", "nodeSelectors"],
    );
  return entryOf(together, peers, unitedReach(together), report);
}

/** The nodes that make a route, and the Services that it is made for. */
type Reach = Pick<BgpAdvertisement, "nodes" | "services">;

function unitedReach(together: readonly BgpAdvertisement[]): Reach {
  const [nodes, services] = [together.map((each) => each.nodes), together.map((each) => each.services)];
  return { nodes: unite(...nodes), services: unite(...services) };
}

export function intersectAll(sets: readonly Nodes[]): Nodes | undefined {
  return sets.reduce<Nodes | undefined>((all, each) => all && intersect(all, each), allNodes);
}

/** All combinations but the empty one, smaller ones first. */
export function combinations<T>(items: readonly T[]): T[][] {
  const all = Array.from({ length: 2 ** items.length - 1 }, (_, bits) => items.filter((_, index) => ((bits + 1) >> index) & 1));
  return all.sort((a, b) => a.length - b.length);
}

function attributes(together: readonly BgpAdvertisement[]): string {
  return JSON.stringify([together.map(({ localPref }) => localPref || 0), communitiesOf(together)]);
}

function communitiesOf(together: readonly BgpAdvertisement[]): string[] {
  return [...new Set(together.flatMap(({ communities }) => communities))].sort();
}

function entryOf(
  together: readonly BgpAdvertisement[],
  peers: readonly string[] | undefined,
  { nodes, services }: Reach,
  report: Report,
): object {
  const [first] = together;
  const { aggregationLength = 32, aggregationLengthV6 = 128 } = first ?? {};
  const preferences = [...new Set(together.flatMap(({ localPref }) => localPref || []))];
  const localPref = preferences.length === 0 ? undefined : Math.max(...preferences);
  if (preferences.length > 1 && first !== undefined)
    report.lose(first.object, `spec.localPref differs for the same prefixes in ${others(together)}; ${localPref} is taken`, [
      "spec",
      "localPref",
    ]);
  const communities = communitiesOf(together);
  const selectors = toConfigSelectors(nodes);
  const serviceSelectors = toConfigSelectors(services);
  const entry = {
    ...(aggregationLength !== 32 && { "aggregation-length": aggregationLength }),
    ...(aggregationLengthV6 !== 128 && { "aggregation-length-v6": aggregationLengthV6 }),
    ...(localPref !== undefined && { localpref: localPref }),
    ...(communities.length > 0 && { communities }),
    ...(peers !== undefined && { peers }),
    ...(selectors !== undefined && { "node-selectors": selectors }),
    ...(serviceSelectors !== undefined && { "service-selectors": serviceSelectors }),
  };
  report.origin(
    entry,
    together.map(({ object }) => object),
  );
  return entry;
}

function others(together: readonly BgpAdvertisement[]): string {
  return `this and ${list(together.slice(1).map(({ object }) => title(object)))}`;
}

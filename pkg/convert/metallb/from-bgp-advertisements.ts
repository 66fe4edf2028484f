import { list, quote } from "#pkg/text";
import type { Report } from "../report.ts";
import { allNodes, intersect, isSame, type Nodes, toConfigSelectors, unite } from "../selectors.ts";
import type { ConvertedPeer } from "./from-peers.ts";
import type { Spec } from "./schemas.ts";

/** A BGPAdvertisement of one pool. */
export interface BgpAdvertisement
  extends Pick<Spec<"BGPAdvertisement">, "aggregationLength" | "aggregationLengthV6" | "localPref"> {
  /** Its name in messages. */
  readonly what: string;
  readonly communities: readonly string[];
  /** Undefined for all. */
  readonly peers: readonly string[] | undefined;
  readonly nodes: Nodes;
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
    for (const { what, peers: named = [] } of group)
      for (const name of named)
        if (!known.has(name)) report.lose(what, `spec.peers names ${quote(name)}, which is no BGPPeer; it is left out`);
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
  for (const [index, [a]] of groups.entries())
    for (const [b] of groups.slice(index + 1)) {
      if (a === undefined || b === undefined) continue;
      const same4 = (a.aggregationLength ?? 32) === (b.aggregationLength ?? 32);
      const same6 = (a.aggregationLengthV6 ?? 128) === (b.aggregationLengthV6 ?? 128);
      if (same4 || same6)
        report.lose(
          b.what,
          `makes the same ${same4 ? "IPv4" : "IPv6"} prefixes as ${a.what}, but others of the other family: for the same ones it counts alone`,
        );
    }
}

/** Entries for peers that the same advertisements reach. */
function combine(together: readonly BgpAdvertisement[], peers: readonly string[] | undefined, report: Report): object[] {
  const [first] = together;
  if (first === undefined) return [];
  const isAlike = together.every((each) => attributes([each]) === attributes([first]));
  const hasSameNodes = together.every(({ nodes }) => isSame(nodes, first.nodes));
  if (isAlike || hasSameNodes) return [entryOf(together, peers, unite(...together.map(({ nodes }) => nodes)), report)];
  if (together.length > maxCombined) return [tooMany(together, peers, report)];
  const entries = new Map<string, object>(); // nodes as text -> entry; of equal ones the later counts
  for (const subset of combinations(together)) {
    const nodes = subset.reduce<Nodes | undefined>((all, each) => all && intersect(all, each.nodes), allNodes);
    if (nodes === undefined) return [tooMany(together, peers, report)];
    entries.delete(JSON.stringify(nodes));
    if (nodes.length > 0) entries.set(JSON.stringify(nodes), entryOf(subset, peers, nodes, report));
  }
  return [...entries.values()];
}

function tooMany(together: readonly BgpAdvertisement[], peers: readonly string[] | undefined, report: Report): object {
  const names = list(together.map(({ what }) => what));
  report.lose(
    names,
    "too many of them have node selectors of their own: every node that any of them selects makes the route of all",
  );
  return entryOf(together, peers, unite(...together.map(({ nodes }) => nodes)), report);
}

/** All combinations but the empty one, smaller ones first. */
function combinations(items: readonly BgpAdvertisement[]): BgpAdvertisement[][] {
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
  nodes: Nodes,
  report: Report,
): object {
  const [{ aggregationLength = 32, aggregationLengthV6 = 128 } = {}] = together;
  const preferences = [...new Set(together.flatMap(({ localPref }) => localPref || []))];
  const localPref = preferences.length === 0 ? undefined : Math.max(...preferences);
  if (preferences.length > 1)
    report.lose(list(together.map(({ what }) => what)), `spec.localPref differs for the same prefixes; ${localPref} is taken`);
  const communities = communitiesOf(together);
  const selectors = toConfigSelectors(nodes);
  return {
    ...(aggregationLength !== 32 && { "aggregation-length": aggregationLength }),
    ...(aggregationLengthV6 !== 128 && { "aggregation-length-v6": aggregationLengthV6 }),
    ...(localPref !== undefined && { localpref: localPref }),
    ...(communities.length > 0 && { communities }),
    ...(peers !== undefined && { peers }),
    ...(selectors !== undefined && { "node-selectors": selectors }),
  };
}

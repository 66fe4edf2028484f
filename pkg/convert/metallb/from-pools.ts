import { communityForms, parseCommunity } from "#pkg/config";
import { quote } from "#pkg/text";
import { type ManifestObject, readSpec, refuse } from "../objects.ts";
import type { Report } from "../report.ts";
import { allNodes, anyMatches, intersect, isSame, type Nodes, nodesOf, toConfigSelectors, unite } from "../selectors.ts";
import { type BgpAdvertisement, combinations, convertBgpAdvertisements, intersectAll } from "./from-bgp-advertisements.ts";
import type { ConvertedPeer } from "./from-peers.ts";
import { type Spec, schemas } from "./schemas.ts";

export interface PoolOptions {
  /** The only way in which a pool is to be announced that is announced in both ways. */
  readonly prefer: "layer2" | "bgp" | undefined;
  readonly peers: readonly ConvertedPeer[];
  /** Names from Communities. */
  readonly communities: Pick<ReadonlyMap<string, unknown>, "has">;
}

/** Each pair of them is compared. A pool has a few. */
const maxAdvertisements = 100;

interface Advertisement<Kind extends "L2Advertisement" | "BGPAdvertisement" = "L2Advertisement" | "BGPAdvertisement"> {
  readonly object: ManifestObject;
  readonly spec: Spec<Kind>;
}

/**
 * All pools in the order in which MetalLB tries them: those with `serviceAllocation`, also where it selects all Services, before the others;
 * the former by priority, without one last. Where MetalLB has no order, by name.
 */
export function convertPools(objects: readonly ManifestObject[], options: PoolOptions, report: Report): object[] {
  const read = <Kind extends keyof typeof schemas>(wanted: Kind) =>
    objects.filter(({ kind }) => kind === wanted).map((object) => ({ object, spec: readSpec(object, schemas[wanted], report) }));
  const l2 = read("L2Advertisement");
  const bgp = read("BGPAdvertisement");
  const pools = read("IPAddressPool").sort(
    (a, b) =>
      Number(isPinned(b.spec)) - Number(isPinned(a.spec)) ||
      priorityOf(a.spec) - priorityOf(b.spec) ||
      (a.object.name < b.object.name ? -1 : 1),
  );
  warnOfNames([...l2, ...bgp], new Set(pools.map(({ object }) => object.name)), report);
  for (const { object, spec } of pools) tellPriority(object, spec, report);
  // Others are checked when their pools are converted.
  const idle = bgp.filter((each) => !pools.some(({ object }) => isFor(object)(each)));
  for (const { object, spec } of idle)
    for (const [index, name] of (spec.communities ?? []).entries())
      if (!options.communities.has(name) && parseCommunity(name) === undefined)
        refuse(
          object,
          ["spec", "communities", index],
          `must be a name from a Community, ${communityForms}; but is ${quote(name)}`,
        );
  const old = objects.filter(({ kind }) => kind === "AddressPool").map((object) => convertOldPool(object, options.peers, report));
  const entries = pools.map(({ object, spec }) => {
    const [byLayer2, byBgp] = [l2.filter(isFor(object)), bgp.filter(isFor(object))];
    const entry = { ...allocation(object, spec), ...announcement(object, spec, byLayer2, byBgp, options, report) };
    report.origin(entry, [object, ...[...byLayer2, ...byBgp].map((each) => each.object)]);
    return entry;
  });
  return [...entries, ...old];
}

/** Whether MetalLB tries it before those that it has for everybody. */
function isPinned({ serviceAllocation }: Spec<"IPAddressPool">): boolean {
  return serviceAllocation !== undefined;
}

function priorityOf({ serviceAllocation: { priority = 0 } = {} }: Spec<"IPAddressPool">): number {
  return priority > 0 ? priority : Number.MAX_VALUE;
}

function tellPriority(
  object: ManifestObject,
  { serviceAllocation: { priority = 0 } = {} }: Spec<"IPAddressPool">,
  report: Report,
) {
  if (priority < 0)
    report.approximate(
      object,
      `spec.serviceAllocation.priority ${priority}: MetalLB tries such pools in no certain order; here it is one without a priority`,
      ["spec", "serviceAllocation", "priority"],
    );
}

/** By name or by label; an advertisement that names neither is for every pool. */
function isFor({ name, labels }: ManifestObject): (advertisement: Advertisement) => boolean {
  return ({ spec: { ipAddressPools = [], ipAddressPoolSelectors = [] } }) =>
    (ipAddressPools.length === 0 && ipAddressPoolSelectors.length === 0) ||
    ipAddressPools.includes(name) ||
    anyMatches(ipAddressPoolSelectors, labels);
}

function warnOfNames(advertisements: readonly Advertisement[], pools: ReadonlySet<string>, report: Report): void {
  for (const { object, spec } of advertisements)
    for (const [index, name] of (spec.ipAddressPools ?? []).entries())
      if (!pools.has(name))
        report.remark(object, `it names the pool ${quote(name)}, which is not there.`, ["spec", "ipAddressPools", index]);
}

function allocation(object: ManifestObject, spec: Spec<"IPAddressPool">): object {
  return {
    name: object.name,
    addresses: spec.addresses ?? [],
    ...(spec.autoAssign === false && { "auto-assign": false }),
    ...(spec.avoidBuggyIPs && { "avoid-buggy-ips": true }),
    ...fence(spec.serviceAllocation ?? {}),
  };
}

/** MetalLB reads an empty list as no fence, and so does this. A selector that selects everything opens the whole list to everybody. */
function fence({
  priority = 0,
  namespaces = [],
  namespaceSelectors = [],
  serviceSelectors = [],
}: NonNullable<Spec<"IPAddressPool">["serviceAllocation"]>) {
  const byLabels = namespaceSelectors.length === 0 ? [] : toConfigSelectors(nodesOf(namespaceSelectors));
  const services = toConfigSelectors(nodesOf(serviceSelectors));
  return {
    ...(byLabels !== undefined && namespaces.length > 0 && { namespaces: [...new Set(namespaces)] }),
    ...(byLabels !== undefined && byLabels.length > 0 && { "namespace-selectors": byLabels }),
    ...(services !== undefined && { "service-selectors": services }),
    ...(byLabels !== undefined && (namespaces.length > 1 || byLabels.length > 0) && { sharing: "cluster" }), // Its only rule.
    ...(priority > 0 && { priority }),
  };
}

function announcement(
  object: ManifestObject,
  spec: Spec<"IPAddressPool">,
  l2: readonly Advertisement<"L2Advertisement">[],
  bgp: readonly Advertisement<"BGPAdvertisement">[],
  { prefer, peers }: PoolOptions,
  report: Report,
): object {
  const isBoth = l2.length > 0 && bgp.length > 0;
  if (isBoth && prefer !== undefined)
    report.lose(object, `is announced by layer 2 and by BGP; here by ${prefer === "bgp" ? "BGP" : "layer 2"} alone`);
  const byLayer2 = l2.length > 0 && !(isBoth && prefer === "bgp") ? layer2(object, l2, report) : undefined;
  const byBgp = bgp.length > 0 && !(isBoth && prefer === "layer2") ? routes(object, spec, bgp, peers, report) : undefined;
  if (byLayer2 !== undefined && byBgp !== undefined) return { protocol: ["layer2", "bgp"], ...byLayer2, ...byBgp };
  if (byLayer2 !== undefined) return { protocol: "layer2", ...byLayer2 };
  if (byBgp !== undefined) return { protocol: "bgp", ...byBgp };
  report.remark(object, "nothing announces it. Its addresses are assigned, and no speaker announces them.");
  return { protocol: "none" };
}

/** @returns undefined where no advertisement is left */
function routes(
  object: ManifestObject,
  spec: Spec<"IPAddressPool">,
  bgp: readonly Advertisement<"BGPAdvertisement">[],
  peers: readonly ConvertedPeer[],
  report: Report,
): object | undefined {
  if (bgp.length > maxAdvertisements) {
    const found = `${bgp.length} BGPAdvertisements are for it, but at most ${maxAdvertisements} are taken together`;
    refuse(object, [], found);
    return undefined;
  }
  const advertisements = convertBgpAdvertisements(bgp.map(bgpAdvertisement), familiesOf(spec.addresses), peers, report);
  warnOfFamilies(object, familiesOf(spec.addresses), bgp, peers, report);
  if (advertisements.length === 0) return undefined;
  return isDefault(advertisements) ? {} : { "bgp-advertisements": advertisements };
}

function isDefault(advertisements: readonly object[]): boolean {
  return advertisements.length === 1 && Object.keys(advertisements[0] ?? {}).length === 0;
}

function familiesOf(addresses: readonly string[] = []): PoolFamilies {
  return { ipv4: addresses.some((text) => !text.includes(":")), ipv6: addresses.some((text) => text.includes(":")) };
}
type PoolFamilies = Parameters<typeof convertBgpAdvertisements>[1];

function bgpAdvertisement({ object, spec }: Advertisement<"BGPAdvertisement">): BgpAdvertisement {
  const {
    communities = [],
    peers = [],
    nodeSelectors,
    serviceSelectors,
    aggregationLength,
    aggregationLengthV6,
    localPref,
  } = spec;
  return {
    object,
    communities,
    peers: peers.length === 0 ? undefined : peers,
    nodes: nodesOf(nodeSelectors),
    services: nodesOf(serviceSelectors),
    ...(aggregationLength !== undefined && { aggregationLength }),
    ...(aggregationLengthV6 !== undefined && { aggregationLengthV6 }),
    ...(localPref !== undefined && { localPref }),
  };
}

/** Where MetalLB's release decides whether a session carries a family, and the pool has it. */
function warnOfFamilies(
  pool: ManifestObject,
  { ipv4, ipv6 }: PoolFamilies,
  advertisements: readonly Advertisement<"BGPAdvertisement">[],
  peers: readonly ConvertedPeer[],
  report: Report,
): void {
  for (const { name, object, uncertain } of peers) {
    const hears = advertisements.some(({ spec }) => !spec.peers?.length || spec.peers.includes(name));
    if (hears && uncertain !== undefined && (uncertain === "IPv4" ? ipv4 : ipv6))
      report.approximate(
        object,
        `is not told the ${uncertain} addresses of pool ${quote(pool.name)}, as by MetalLB from 0.15 on; if yours is older and told it, remove its line "families"`,
      );
  }
}

const maxServices = 4; // Selections of Services by L2Advertisements with nodes or interfaces of their own: fifteen entries.

/**
 * With MetalLB all L2Advertisements that are for a Service count together; here the last entry that is for it counts alone, so that each
 * combination becomes an entry, the most special one last.
 * @returns undefined where none is for any Service
 */
function layer2(
  pool: ManifestObject,
  advertisements: readonly Advertisement<"L2Advertisement">[],
  report: Report,
): object | undefined {
  for (const { object, spec } of advertisements)
    for (const [index, name] of (spec.interfaces ?? []).entries())
      if (/[*?]|^can_reach:/.test(name))
        report.lose(object, `spec.interfaces: ${quote(name)} is no interface's whole name, which MetalLB takes it for`, [
          "spec",
          "interfaces",
          index,
        ]);
  const selected = (ads: readonly Advertisement<"L2Advertisement">[]) => ads.map(({ spec }) => nodesOf(spec.serviceSelectors));
  const groups = [...Map.groupBy(advertisements, (each) => JSON.stringify(selected([each]))).values()];
  const isAlike = new Set(groups.map((group) => JSON.stringify(forServices(pool, group, report)))).size === 1;
  const chosen = isAlike
    ? [{ services: unite(...selected(advertisements)), together: advertisements }]
    : combined(groups, selected);
  if (chosen === undefined) {
    report.lose(
      pool,
      "its L2Advertisements have too many serviceSelectors with nodes or interfaces of their own: all Services get those of all",
    );
    return forServices(pool, advertisements, report);
  }
  const entries = new Map<string, object>(); // Services as text -> entry; of equal ones the later counts
  for (const { services, together } of chosen) {
    if (services.length === 0) continue;
    const selectors = toConfigSelectors(services);
    const entry = { ...(selectors && { "service-selectors": selectors }), ...forServices(pool, together, report) };
    entries.delete(JSON.stringify(services));
    entries.set(JSON.stringify(services), entry);
    report.origin(
      entry,
      together.map(({ object }) => object),
    );
  }
  if (entries.size === 0) return undefined;
  const forAll = entries.get(JSON.stringify(allNodes));
  return forAll !== undefined && entries.size === 1 ? forAll : { "layer2-advertisements": [...entries.values()] };
}

type Together = readonly Advertisement<"L2Advertisement">[];

/** Every combination of advertisements, and the Services that all of them are for. @returns undefined when that takes too many selectors */
function combined(groups: readonly Together[], selected: (ads: Together) => Nodes[]) {
  if (groups.length > maxServices) return undefined;
  const found: { readonly services: Nodes; readonly together: Together }[] = [];
  for (const some of combinations(groups)) {
    const services = intersectAll(selected(some.flat()));
    if (services === undefined) return undefined;
    found.push({ services, together: some.flat() });
  }
  return found;
}

/** MetalLB announces from a node that any advertisement allows, on the interfaces of all that allow it. */
function forServices(pool: ManifestObject, advertisements: readonly Advertisement<"L2Advertisement">[], report: Report): object {
  const all = advertisements.map(({ spec }) => ({
    nodes: nodesOf(spec.nodeSelectors),
    interfaces: [...(spec.interfaces ?? [])].sort(),
  }));
  const [first, ...more] = all;
  const coversAll = all.some(({ nodes, interfaces }) => toConfigSelectors(nodes) === undefined && interfaces.length === 0);
  const sameNodes = more.every(({ nodes }) => first !== undefined && isSame(nodes, first.nodes));
  const sameInterfaces = more.every(({ interfaces }) => interfaces.join() === first?.interfaces.join());
  const preferred = preferredNodes(pool, advertisements, report);
  if (coversAll) return preferred;
  if (!sameNodes && !sameInterfaces)
    report.lose(
      pool,
      "its L2Advertisements have different interfaces for different nodes: here every node that any of them selects uses the interfaces of all",
    );
  const nodes: Nodes = unite(...all.map((each) => each.nodes));
  const interfaces = all.some((each) => each.interfaces.length === 0) ? [] : [...new Set(all.flatMap((each) => each.interfaces))];
  const selectors = toConfigSelectors(nodes);
  return { ...(selectors && { "node-selectors": selectors }), ...preferred, ...(interfaces.length > 0 && { interfaces }) };
}

/** MetalLB adds up what all of them say. A selector that matches every node, or no node, makes no difference. */
function preferredNodes(
  pool: ManifestObject,
  advertisements: readonly Advertisement<"L2Advertisement">[],
  report: Report,
): object {
  const [first] = advertisements;
  const sameNodes = advertisements.every(({ spec }) => isSame(nodesOf(spec.nodeSelectors), nodesOf(first?.spec.nodeSelectors)));
  const lists = advertisements.map(({ spec: { nodeSelectors, preferredNodeSelectors = [] } }) =>
    preferredNodeSelectors.flatMap(({ weight = 1, preference = {} }) => {
      const own = sameNodes ? allNodes : nodesOf(nodeSelectors); // It says nothing of other nodes.
      const nodes = intersect(own, nodesOf([preference])) ?? [];
      if (nodes.length === 0) return [];
      if (own.length > 1)
        report.lose(pool, "several L2Advertisements with several node selectors each prefer nodes: give each of them one");
      return (toConfigSelectors(nodes) ?? []).map((selector) => ({ weight, ...selector }));
    }),
  );
  const isOneList = new Set(lists.map((list) => JSON.stringify(list))).size === 1;
  const all = isOneList ? (lists[0] ?? []) : lists.flat();
  return all.length === 0 ? {} : { "preferred-nodes": all };
}

function convertOldPool(object: ManifestObject, peers: readonly ConvertedPeer[], report: Report): object {
  const { protocol, addresses = [], autoAssign, bgpAdvertisements = [] } = readSpec(object, schemas.AddressPool, report);
  const made = bgpAdvertisements.map((spec) => bgpAdvertisement({ object, spec }));
  const advertisements = made.length === 0 ? [] : convertBgpAdvertisements(made, familiesOf(addresses), peers, report);
  const entry = {
    name: object.name,
    protocol,
    addresses,
    ...(autoAssign === false && { "auto-assign": false }),
    ...(protocol === "bgp" && advertisements.length > 0 && { "bgp-advertisements": advertisements }),
  };
  report.origin(entry, [object]);
  return entry;
}

import { quote } from "#pkg/text";
import { type ManifestObject, readSpec, refuse, title } from "../objects.ts";
import type { Report } from "../report.ts";
import { anyMatches, isSame, type Nodes, nodesOf, toConfigSelectors, unite } from "../selectors.ts";
import { type BgpAdvertisement, convertBgpAdvertisements } from "./from-bgp-advertisements.ts";
import type { ConvertedPeer } from "./from-peers.ts";
import { type AddressPoolSpec, type AdvertisementSpec, type BgpSpec, type L2Spec, type PoolSpec, schemas } from "./schemas.ts";

export interface PoolOptions {
  /** What a pool becomes that is announced in both ways. */
  readonly prefer: "layer2" | "bgp" | undefined;
  readonly peers: readonly ConvertedPeer[];
}

interface Advertisement<T extends AdvertisementSpec> {
  readonly object: ManifestObject;
  readonly spec: Partial<T>;
}

/** All pools in the order in which MetalLB prefers them: by priority, those without one last, then by name. */
export function convertPools(objects: readonly ManifestObject[], options: PoolOptions, report: Report): object[] {
  const read = <T extends AdvertisementSpec>(kind: "L2Advertisement" | "BGPAdvertisement"): Advertisement<T>[] =>
    objects
      .filter((object) => object.kind === kind)
      .map((object) => ({ object, spec: readSpec<T>(object, schemas[kind], report) }));
  const l2 = read<L2Spec>("L2Advertisement");
  const bgp = read<BgpSpec>("BGPAdvertisement");
  const pools = objects
    .filter(({ kind }) => kind === "IPAddressPool")
    .map((object) => ({ object, spec: readSpec<PoolSpec>(object, schemas.IPAddressPool, report) }))
    .sort((a, b) => priorityOf(a.spec) - priorityOf(b.spec) || (a.object.name < b.object.name ? -1 : 1));
  warnOfNames([...l2, ...bgp], new Set(pools.map(({ object }) => object.name)), report);
  const old = objects.filter(({ kind }) => kind === "AddressPool").map((object) => convertOldPool(object, options.peers, report));
  return [
    ...pools.map(({ object, spec }) => ({
      ...allocation(object, spec, report),
      ...announcement(object, spec, l2.filter(isFor(object)), bgp.filter(isFor(object)), options, report),
    })),
    ...old,
  ];
}

function priorityOf({ serviceAllocation }: Partial<PoolSpec>): number {
  return serviceAllocation?.priority || Infinity;
}

/** By name or by label; an advertisement that names neither is for every pool. */
function isFor({ name, labels }: ManifestObject): (advertisement: Advertisement<AdvertisementSpec>) => boolean {
  return ({ spec: { ipAddressPools = [], ipAddressPoolSelectors = [] } }) =>
    (ipAddressPools.length === 0 && ipAddressPoolSelectors.length === 0) ||
    ipAddressPools.includes(name) ||
    anyMatches(ipAddressPoolSelectors, labels);
}

function warnOfNames(
  advertisements: readonly Advertisement<AdvertisementSpec>[],
  pools: ReadonlySet<string>,
  report: Report,
): void {
  for (const { object, spec } of advertisements)
    for (const name of spec.ipAddressPools ?? [])
      if (!pools.has(name)) report.note(`${title(object)} names the pool ${quote(name)}, which is not there.`);
}

function allocation(object: ManifestObject, spec: Partial<PoolSpec>, report: Report): object {
  const { namespaces = [], namespaceSelectors = [], serviceSelectors = [] } = spec.serviceAllocation ?? {};
  const isPinned = namespaces.length + namespaceSelectors.length + serviceSelectors.length > 0;
  if (isPinned && spec.autoAssign !== false)
    report.lose(
      title(object),
      "spec.serviceAllocation keeps the pool to some namespaces or Services: it has auto-assign: false here, so that no others get its addresses, and these have to ask for it with the annotation metallb.universe.tf/address-pool",
    );
  else if (isPinned)
    report.lose(
      title(object),
      "spec.serviceAllocation keeps the pool to some namespaces or Services: here any Service may ask for it",
    );
  return {
    name: object.name,
    addresses: spec.addresses ?? [],
    ...((spec.autoAssign === false || isPinned) && { "auto-assign": false }),
    ...(spec.avoidBuggyIPs && { "avoid-buggy-ips": true }),
  };
}

function announcement(
  object: ManifestObject,
  spec: Partial<PoolSpec>,
  l2: readonly Advertisement<L2Spec>[],
  bgp: readonly Advertisement<BgpSpec>[],
  { prefer, peers }: PoolOptions,
  report: Report,
): object {
  const isBoth = l2.length > 0 && bgp.length > 0;
  if (isBoth && prefer === undefined) {
    const [a, b] = [l2, bgp].map(([one]) => one && title(one.object));
    refuse(
      object,
      ["metadata", "name"],
      `is announced by ${a} and by ${b}; a pool here has one protocol: choose it with --prefer layer2 or --prefer bgp`,
    );
  }
  if (isBoth)
    report.lose(title(object), `is announced by layer 2 and by BGP; here by ${prefer === "bgp" ? "BGP" : "layer 2"} alone`);
  if (l2.length > 0 && !(isBoth && prefer === "bgp")) return { protocol: "layer2", ...layer2(object, l2, report) };
  if (bgp.length > 0) {
    const advertisements = convertBgpAdvertisements(
      bgp.map((each) => bgpAdvertisement(each, report)),
      familiesOf(spec.addresses),
      peers,
      report,
    );
    warnOfFamilies(object, familiesOf(spec.addresses), bgp, peers, report);
    if (advertisements.length > 0)
      return { protocol: "bgp", ...(isDefault(advertisements) ? {} : { "bgp-advertisements": advertisements }) };
  }
  report.note(`${title(object)}: nothing announces it. Its addresses are assigned, and its node-selectors select no node.`);
  return { protocol: "layer2", "node-selectors": toConfigSelectors([]) };
}

function isDefault(advertisements: readonly object[]): boolean {
  return advertisements.length === 1 && Object.keys(advertisements[0] ?? {}).length === 0;
}

function familiesOf(addresses: readonly string[] = []): PoolFamilies {
  return { ipv4: addresses.some((text) => !text.includes(":")), ipv6: addresses.some((text) => text.includes(":")) };
}
type PoolFamilies = Parameters<typeof convertBgpAdvertisements>[1];

function bgpAdvertisement({ object, spec }: Advertisement<BgpSpec>, report: Report): BgpAdvertisement {
  forAllServices(object, spec, report);
  const { communities = [], peers = [], nodeSelectors, aggregationLength, aggregationLengthV6, localPref } = spec;
  return {
    what: title(object),
    communities,
    peers: peers.length === 0 ? undefined : peers,
    nodes: nodesOf(nodeSelectors),
    ...(aggregationLength !== undefined && { aggregationLength }),
    ...(aggregationLengthV6 !== undefined && { aggregationLengthV6 }),
    ...(localPref !== undefined && { localPref }),
  };
}

function forAllServices(object: ManifestObject, { serviceSelectors = [] }: Partial<AdvertisementSpec>, report: Report): void {
  if (serviceSelectors.length > 0)
    report.lose(
      title(object),
      "spec.serviceSelectors: it is made for all Services of the pool here; give Services that are to differ a pool of their own",
    );
}

/** Where MetalLB's release decides whether a session carries a family, and the pool has it. */
function warnOfFamilies(
  pool: ManifestObject,
  { ipv4, ipv6 }: PoolFamilies,
  advertisements: readonly Advertisement<BgpSpec>[],
  peers: readonly ConvertedPeer[],
  report: Report,
): void {
  for (const { name, uncertain } of peers) {
    const hears = advertisements.some(({ spec }) => !spec.peers?.length || spec.peers.includes(name));
    if (hears && uncertain !== undefined && (uncertain === "IPv4" ? ipv4 : ipv6))
      report.lose(
        `BGPPeer ${quote(name)}`,
        `is not told the ${uncertain} addresses of pool ${quote(pool.name)}, as by MetalLB from 0.15 on; if yours is older and told it, remove its line "families"`,
      );
  }
}

/** MetalLB announces from a node that any advertisement allows, on the interfaces of all that allow it. */
function layer2(pool: ManifestObject, advertisements: readonly Advertisement<L2Spec>[], report: Report): object {
  for (const { object, spec } of advertisements) {
    forAllServices(object, spec, report);
    if ((spec.preferredNodeSelectors ?? []).length > 0)
      report.lose(title(object), "spec.preferredNodeSelectors: no node is preferred here");
  }
  const all = advertisements.map(({ spec }) => ({
    nodes: nodesOf(spec.nodeSelectors),
    interfaces: [...(spec.interfaces ?? [])].sort(),
  }));
  const [first, ...more] = all;
  const coversAll = all.some(({ nodes, interfaces }) => toConfigSelectors(nodes) === undefined && interfaces.length === 0);
  const sameNodes = more.every(({ nodes }) => first !== undefined && isSame(nodes, first.nodes));
  const sameInterfaces = more.every(({ interfaces }) => interfaces.join() === first?.interfaces.join());
  if (coversAll) return {};
  if (!sameNodes && !sameInterfaces)
    report.lose(
      title(pool),
      "its L2Advertisements have different interfaces for different nodes: here every node that any of them selects uses the interfaces of all",
    );
  const nodes: Nodes = unite(...all.map((each) => each.nodes));
  const interfaces = all.some((each) => each.interfaces.length === 0) ? [] : [...new Set(all.flatMap((each) => each.interfaces))];
  const selectors = toConfigSelectors(nodes);
  return { ...(selectors && { "node-selectors": selectors }), ...(interfaces.length > 0 && { interfaces }) };
}

function convertOldPool(object: ManifestObject, peers: readonly ConvertedPeer[], report: Report): object {
  const {
    protocol,
    addresses = [],
    autoAssign,
    bgpAdvertisements = [],
  } = readSpec<AddressPoolSpec>(object, schemas.AddressPool, report);
  const made = bgpAdvertisements.map((spec) => bgpAdvertisement({ object, spec }, report));
  const advertisements = made.length === 0 ? [] : convertBgpAdvertisements(made, familiesOf(addresses), peers, report);
  return {
    name: object.name,
    protocol,
    addresses,
    ...(autoAssign === false && { "auto-assign": false }),
    ...(protocol === "bgp" && advertisements.length > 0 && { "bgp-advertisements": advertisements }),
  };
}

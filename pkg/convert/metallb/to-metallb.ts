import { type Config, formatCommunity, type LabelSelector, type Pool, parseCommunity, type RawConfig } from "#pkg/config";
import type { AddressRange } from "#pkg/net";
import { quote } from "#pkg/text";
import type { Report } from "../report.ts";
import { complement, intersect, type Nodes, nodesOfConfig, toSelectors } from "../selectors.ts";
import { bgpSpecs } from "./to-bgp-advertisements.ts";
import { bfdSpec, peerSpec } from "./to-peers.ts";

/** An object of MetalLB's, ready to be written. */
export interface CustomResource {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: object;
}

/**
 * The custom resources of MetalLB 0.15 and later that a configuration is.
 * @param config what it means @param raw what its text says, of the same lists
 */
export function toMetallb(config: Config, raw: RawConfig, namespace: string, report: Report): CustomResource[] {
  const objects: CustomResource[] = [];
  const add = (kind: string, version: string, name: string, spec: object) =>
    objects.push({ apiVersion: `metallb.io/${version}`, kind, metadata: { name, namespace }, spec });
  const communities = Object.entries(raw["bgp-communities"] ?? {}).map(([name, value = ""]) => {
    const community = parseCommunity(value); // MetalLB knows no names by RFCs.
    return { name, value: community && formatCommunity(community) };
  });
  if (communities.length > 0) add("Community", "v1beta1", "communities", { communities });

  const profileNames = new Names("BFD profile", [...config.bfdProfiles.keys()], report);
  const bfdProfiles = new Map([...config.bfdProfiles.keys()].map((name) => [name, profileNames.of(name)]));
  for (const [name, profile] of config.bfdProfiles) {
    const isRefused = profile.echoMode && hearIpv6(config, name);
    if (isRefused)
      report.lose(`BFD profile ${quote(name)}`, "echo-mode: MetalLB refuses it for peers that hear of IPv6 addresses; it is off");
    add("BFDProfile", "v1beta1", bfdProfiles.get(name) ?? name, bfdSpec(isRefused ? { ...profile, echoMode: false } : profile));
  }

  const peers = convertPeers(config, raw, namespace, bfdProfiles, report);
  for (const { name, spec } of peers.made) add("BGPPeer", "v1beta2", name, spec);

  const named = config.pools.map(({ name }) => name);
  const poolNames = new Names("pool", named, report);
  const [layer2Names, advertisementNames] = [new Names("advertisement", [], report), new Names("advertisement", [], report)];
  for (const [index, pool] of config.pools.entries()) {
    const name = poolNames.of(pool.name);
    if (name !== pool.name)
      report.note(`Services that ask for pool ${quote(pool.name)} by annotation have to ask for ${quote(name)}.`);
    add("IPAddressPool", "v1beta1", name, poolSpec(pool));
    tellLosses(pool, report);
    if (pool.protocols.includes("layer2"))
      for (const spec of layer2Specs(pool, name, report)) add("L2Advertisement", "v1beta1", layer2Names.fresh(name), spec);
    if (pool.protocols.includes("bgp"))
      for (const spec of bgpSpecs(pool, name, raw["address-pools"]?.[index]?.["bgp-advertisements"] ?? [], peers.names, report))
        add("BGPAdvertisement", "v1beta1", advertisementNames.fresh(name), spec);
  }
  if (config.quotas.length > 0) report.lose("quotas", "MetalLB has none: namespaces get as much as they ask for");
  if (config.failover !== undefined) report.lose("failover", "MetalLB's speakers need some 5 s to find that a node is gone");
  if (config.pools.filter(({ autoAssign, closed, priority }) => autoAssign && !closed && priority === undefined).length > 1)
    report.note(
      "MetalLB tries pools in no certain order; spec.serviceAllocation.priority gives them one, and keeps them to the Services that it names.",
    );
  return objects;
}

/** Whether any peer with this BFD profile is told of IPv6 addresses. */
function hearIpv6({ peers, pools }: Config, profile: string): boolean {
  const advertisements = pools
    .filter(({ protocols, ranges }) => protocols.includes("bgp") && ranges.some(({ family }) => family === "IPv6"))
    .flatMap((pool) => pool.advertisements);
  return peers.some(
    ({ name = "", bfdProfile }) =>
      bfdProfile === profile && advertisements.some((each) => each.peers.length === 0 || each.peers.includes(name)),
  );
}

function convertPeers(
  config: Config,
  raw: RawConfig,
  namespace: string,
  bfdProfiles: ReadonlyMap<string, string>,
  report: Report,
) {
  const peerNames = new Names(
    "peer",
    config.peers.flatMap(({ name }) => name ?? []),
    report,
  );
  const names = new Map<string, string>(); // name here, or a stand-in -> name there
  const made: { readonly name: string; readonly spec: NonNullable<ReturnType<typeof peerSpec>> }[] = [];
  for (const [index, peer] of config.peers.entries()) {
    const what = peer.name === undefined ? `peers[${index}]` : `peer ${quote(peer.name)}`;
    const spec = peerSpec(peer, raw.peers?.[index] ?? {}, { what, namespace, bfdProfiles }, report);
    if (spec === undefined) continue;
    const name = peer.name === undefined ? peerNames.fresh("peer") : peerNames.of(peer.name);
    names.set(peer.name ?? `peers[${index}]`, name);
    made.push({ name, spec });
  }
  const valuesOf = (of: (spec: (typeof made)[number]["spec"]) => unknown) => new Set(made.map(({ spec }) => of(spec))).size;
  const asns = valuesOf(({ myASN }) => myASN);
  if (asns > 1)
    report.lose("peers", `have ${asns} values of my-asn: with FRR, all peers of one node need the same (or localASN)`);
  if (valuesOf(({ routerID }) => routerID) > 1)
    report.lose("peers", "have not all the same router-id: with FRR, all peers of one node need it");
  if (valuesOf(({ peerAddress, interface: name }) => peerAddress ?? name) < made.length)
    report.lose("peers", "have one address or interface several times: with FRR, each peer of one node needs another");
  return { names, made };
}

function poolSpec({ ranges, autoAssign, avoidBuggyIPs, fence, priority, closed }: Pool): object {
  const namespaceSelectors = inTheirs(fence.namespaceSelectors);
  const isForAll = fence.namespaceSelectors.length > 0 && namespaceSelectors === undefined;
  const serviceSelectors = inTheirs(fence.serviceSelectors);
  const serviceAllocation = {
    ...(priority !== undefined && { priority }),
    ...(!isForAll && fence.namespaces.length > 0 && { namespaces: fence.namespaces }),
    ...(namespaceSelectors !== undefined && { namespaceSelectors }),
    ...(serviceSelectors !== undefined && { serviceSelectors }),
  };
  return {
    addresses: ranges.map(rangeText),
    ...((!autoAssign || closed) && { autoAssign: false }),
    ...(avoidBuggyIPs && { avoidBuggyIPs: true }),
    ...(Object.keys(serviceAllocation).length > 0 && { serviceAllocation }),
  };
}

function inTheirs(selectors: readonly LabelSelector[]) {
  return toSelectors(nodesOfConfig(selectors));
}

function rangeText(range: AddressRange): string {
  const [prefix, ...more] = range.toPrefixes();
  return prefix !== undefined && more.length === 0 ? `${prefix}` : `${range}`;
}

/** Here the last entry that is for a Service counts alone, with MetalLB all count together: from an earlier one, Services of later ones are taken out. */
function layer2Specs(pool: Pool, poolName: string, report: Report): object[] {
  const { layer2Advertisements: entries } = pool;
  if (entries.length === 0) return [layer2Spec(pool, poolName, report)];
  return entries.flatMap(({ services, pool: own }, index) => {
    const what = `pool ${quote(pool.name)}, layer2-advertisements[${index}]`;
    if (services.namespaces.length + services.namespaceSelectors.length > 0)
      report.lose(what, "namespaces and namespace-selectors: MetalLB selects Services by their own labels alone");
    const selected = nodesOfConfig(services.serviceSelectors);
    let left: Nodes | undefined = selected;
    for (const later of entries.slice(index + 1)) {
      const others = complement(nodesOfConfig(later.services.serviceSelectors));
      left = left && others && intersect(left, others);
    }
    if (left === undefined) report.lose(what, "too many selectors exclude Services: it counts together with later entries");
    if (left?.length === 0) return [];
    const serviceSelectors = toSelectors(left ?? selected);
    return [{ ...layer2Spec(own, poolName, report), ...(serviceSelectors && { serviceSelectors }) }];
  });
}

function layer2Spec({ name, nodeSelectors, preferredNodes, interfaces }: Pool, poolName: string, report: Report): object {
  const exact = interfaces.filter((pattern) => !/[*?]|^can_reach:/.test(pattern));
  const others = interfaces.filter((pattern) => !exact.includes(pattern));
  if (others.length > 0)
    report.lose(
      `pool ${quote(name)}`,
      `interfaces ${others.map(quote).join(", ")}: MetalLB takes whole names only; ${exact.length === 0 ? "every interface is used" : "these are left out"}`,
    );
  const selectors = toSelectors(nodesOfConfig(nodeSelectors));
  const preferred = preferredNodes.flatMap(({ weight, selector }) =>
    (toSelectors(nodesOfConfig([selector])) ?? []).map((preference) => ({ weight, preference })),
  );
  return {
    ipAddressPools: [poolName], // Without it, it would be for every pool, those for BGP too.
    ...(selectors !== undefined && { nodeSelectors: selectors }),
    ...(preferred.length > 0 && { preferredNodeSelectors: preferred }),
    ...(exact.length > 0 && { interfaces: exact }),
  };
}

function tellLosses(
  { name, protocols, l2Placement, conflictProbe, selfTestMs, keepConnections, announceWhen, ...pool }: Pool,
  report: Report,
): void {
  const lose = (what: string) => report.lose(`pool ${quote(name)}`, what);
  if (pool.closed) lose("closed: MetalLB gives addresses to Services that ask for them; it has autoAssign: false there");
  if (pool.sharing !== "cluster")
    lose(`sharing ${pool.sharing}: MetalLB lets Services of all namespaces share an address by its key`);
  if (pool.reservations.length > 0) lose("reserved: MetalLB gives these addresses to anybody");
  if (pool.netbox !== undefined)
    lose(
      pool.netbox.mode === "allocate"
        ? "netbox: MetalLB chooses addresses itself, and records them nowhere"
        : "netbox: MetalLB records nowhere which addresses Services hold",
    );
  if (pool.nextHopSlots.length > 0)
    lose(`next-hop-slots ${pool.nextHopSlots.join(", ")}: MetalLB's nodes are the next hops themselves`);
  if (announceWhen === "alive") lose("announce-when: MetalLB has no such field, and announces all pools while its speakers work");
  if (protocols.includes("interface")) lose("protocol interface: MetalLB puts no addresses into the nodes' kernels");
  if (!protocols.includes("layer2")) return;
  const placement = [...(l2Placement.sticky ? ["sticky"] : []), ...(l2Placement.subnet ? ["subnet"] : [])].join("-");
  if (placement !== "") lose(`l2-placement ${placement}: MetalLB chooses nodes by hash alone`);
  if (keepConnections) lose("keep-connections: with MetalLB connections break when an address moves");
  if (selfTestMs !== undefined && selfTestMs !== 0) lose("self-test: MetalLB does not try addresses");
  if (conflictProbe !== "report") lose(`conflict-probe ${conflictProbe}: MetalLB does not probe`);
}

/** Names of one kind as Kubernetes takes them (RFC 1123), each once. */
class Names {
  readonly #what: string;
  readonly #report: Report;
  readonly #names = new Map<string, string>(); // name here -> name there
  readonly #taken = new Set<string>();

  /** @param all all names; names that Kubernetes accepts stay as they are */
  constructor(what: string, all: readonly string[], report: Report) {
    this.#what = what;
    this.#report = report;
    for (const name of all)
      if (accepted(name) === name) {
        this.#names.set(name, name);
        this.#taken.add(name);
      }
  }

  of(name: string): string {
    const known = this.#names.get(name);
    if (known !== undefined) return known;
    const chosen = this.fresh(accepted(name) || accepted(this.#what));
    this.#names.set(name, chosen);
    this.#report.lose(
      `${this.#what} ${quote(name)}`,
      `its name becomes ${quote(chosen)}: Kubernetes takes a-z, 0-9, "-" and "."`,
    );
    return chosen;
  }

  /** A name that no other has: this one, or this one with a number. */
  fresh(wanted: string): string {
    let name = wanted;
    for (let number = 2; this.#taken.has(name); number++) name = `${wanted}-${number}`;
    this.#taken.add(name);
    return name;
  }
}

const maxName = 200; // Less than 253, so that a number fits behind it.

/** The nearest name that Kubernetes takes; empty where nothing is left. */
function accepted(name: string): string {
  const parts = name
    .slice(0, maxName)
    .toLowerCase()
    .replaceAll(/[^a-z0-9.-]+/g, "-")
    .split(".");
  return parts
    .map((part) => part.replaceAll(/^-+|-+$/g, ""))
    .filter(Boolean)
    .join(".");
}

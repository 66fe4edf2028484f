import { advertisementsFor, differByService, formatCommunity, type Pool } from "#pkg/config";
import type { Service } from "#pkg/k8s";
import { type Address, parseAddress } from "#pkg/net";
import {
  type AddressPlacement,
  advertisedCentrally,
  type BgpPlacement,
  type BgpRoute,
  type CentralAdvertisements,
  centralPeers,
  centralSessions,
  isDrained,
  type NodePeer,
  nodePeers,
  oldestOf,
  type PoolAdvertisements,
  placeBgp,
  placeCentral,
  poolAdvertisements,
  type ServedNode,
  type SlotPaths,
  servedNodes,
} from "#pkg/placement";
import { list } from "#pkg/text";
import { common, eligibilityOf, labelsOf, type Placed, refusalsOfAll } from "./placed.ts";
import type { ClusterState, HeldAddress } from "./state.ts";

/** A route that routers get by BGP. */
export interface Route {
  readonly prefix: string;
  /** Key of the peer. */
  readonly peer: string;
  /** In words, such as `local-pref 100, communities 65000:1`; empty for a route with none. */
  readonly attributes: string;
  /** That announce it, or that central speakers lead to. */
  readonly nodes: Set<string>;
  /** How many next-hop slots it has in place of nodes; 0 for nodes. */
  readonly slots: number;
}

/** Places addresses by BGP: each node for itself, or central speakers, who all decide the same, for all nodes. */
export class BgpRoutes {
  readonly routes = new Map<string, Route>();
  readonly #state: ClusterState;
  readonly #peers: ReadonlyMap<string, readonly NodePeer[]>; // node or central speaker -> its peers
  readonly #made = new Map<Pool, Map<string, Made>>(); // pool -> for Services with equal advertisements -> these
  readonly #services: ReadonlyMap<string, Service>;
  readonly #served: ReadonlyMap<string, ServedNode>; // By central speakers.
  readonly #drained: ReadonlySet<string>;

  constructor(state: ClusterState) {
    this.#state = state;
    this.#peers = peersOf(state);
    this.#services = new Map(state.services.map((service) => [service.key, service]));
    this.#served = state.central.length === 0 ? new Map() : servedBy(state);
    this.#drained = new Set(state.nodes.flatMap(({ name, labels, taints }) => (isDrained(labels, taints) ? [name] : [])));
  }

  place(held: HeldAddress, pool: Pool): Placed {
    const { address, holders } = held;
    const { ofNodes, ofCentral } = this.#advertisementsOf(pool, oldestOf(holders)?.service);
    const nodes = new Set<string>();
    const each: AddressPlacement[] = this.#withoutDrained(held, ofNodes).map((advertisements) => {
      const placement = placeBgp(address, holders, advertisements);
      if (placement.routes.length > 0) nodes.add(advertisements.node);
      for (const route of placement.routes) this.#add(route, address, [advertisements.node], pool);
      return placement;
    });
    if (ofCentral !== undefined) each.push(this.#placeCentral(held, ofCentral, nodes, pool));
    return {
      ...common(held),
      pool: pool.name,
      protocol: "bgp",
      isOwned: false,
      nodes: [...nodes].sort(),
      refusals: refusalsOfAll(
        held,
        each,
        ofNodes.map(({ node }) => node),
      ),
    };
  }

  /** A drained node has no routes for Services of `Cluster` that others have. */
  #withoutDrained({ address, holders }: HeldAddress, ofNodes: Made["ofNodes"]): Made["ofNodes"] {
    const isOther = (one: PoolAdvertisements) =>
      !this.#drained.has(one.node) && placeBgp(address, holders, one).routes.length > 0;
    const isOfCluster = holders.every(
      ({ isAllowed, externalTrafficPolicy }) => !isAllowed || externalTrafficPolicy === "Cluster",
    );
    if (this.#drained.size === 0 || !isOfCluster || !ofNodes.some(isOther)) return ofNodes;
    return ofNodes.map((one) => (this.#drained.has(one.node) ? { ...one, eligibility: "excluded" } : one));
  }

  #placeCentral({ address, holders }: HeldAddress, central: CentralAdvertisements, nodes: Set<string>, pool: Pool): BgpPlacement {
    const placement = placeCentral(address, holders, central);
    const nodeOf = new Map([...this.#served].map(([name, { paths }]) => [`${paths.get(address.family)?.nextHop}`, name]));
    for (const route of placement.routes) {
      const hops = route.via.slots.get(address.family);
      const led = central.slots.has(address.family)
        ? this.#served.keys() // Any of them may own the slots.
        : hops?.flatMap(({ nextHop }) => nodeOf.get(`${nextHop}`) ?? []);
      const through = led === undefined ? this.#state.central : [...led]; // The advertisement has a next hop of its own.
      for (const node of through) nodes.add(node);
      this.#add(route, address, through, pool);
    }
    return placement;
  }

  #add({ prefix, via }: BgpRoute, { family }: Address, nodes: readonly string[], { nextHopSlots }: Pool): void {
    const slots = Number(nextHopSlots.find((one) => one.family === family)?.size ?? 0);
    const attributes = attributesOf(via.advertisement, family);
    for (const peer of via.peers[family]) {
      const key = `${prefix} ${peer} ${attributes}`;
      const known = this.routes.get(key) ?? { prefix: prefix.toString(), peer, attributes, nodes: new Set<string>(), slots };
      this.routes.set(key, known);
      for (const node of nodes) known.nodes.add(node);
    }
  }

  #advertisementsOf(pool: Pool, key: string | undefined): Made {
    const service = differByService(pool) && key !== undefined ? this.#services.get(key) : undefined;
    const own = service && advertisementsFor(pool, service, this.#state.namespaces);
    const byKey = this.#made.get(pool) ?? new Map<string, Made>();
    this.#made.set(pool, byKey);
    const known = byKey.get(own?.key ?? "");
    if (known !== undefined) return known;
    const made = this.#make(pool, own?.advertisements ?? pool.advertisements);
    byKey.set(own?.key ?? "", made);
    return made;
  }

  #make(pool: Pool, entries: PoolAdvertisements["entries"]): Made {
    const state = this.#state;
    const { active, nodesHaveBgp, central } = state;
    const labels = labelsOf(state);
    const slots = slotsOf(pool);
    const ofNodes = (nodesHaveBgp ? active : []).map((node) =>
      poolAdvertisements({
        pool,
        order: 0,
        node,
        labels: labels.get(node),
        eligibility: eligibilityOf(state, [], node),
        peers: this.#peers.get(node) ?? [],
        entries,
        slots,
      }),
    );
    const [node] = central;
    if (node === undefined) return { ofNodes, ofCentral: undefined };
    const none = new Set<string>();
    const ofCentral = advertisedCentrally({
      pool,
      node,
      entries,
      slots,
      order: 0,
      peers: centralPeers(state.config.peers),
      nodes: this.#served,
      undelivering: { IPv4: none, IPv6: none },
      drained: this.#drained,
      cordoned: { nodes: none, peers: none },
      isOutdated: false,
    });
    return { ofNodes, ofCentral };
  }
}

/** A family with next-hop slots has one path in place of all: which node owns which slot decides on no address. */
function slotsOf({ nextHopSlots }: Pool): SlotPaths {
  return new Map(nextHopSlots.map(({ family, first }) => [family, [{ path: 1, nextHop: first, isOwn: true }]]));
}

interface Made {
  /** Advertisements of each node with sessions. */
  readonly ofNodes: readonly PoolAdvertisements[];
  /** Advertisements of each central speaker. */
  readonly ofCentral: CentralAdvertisements | undefined;
}

/** The nodes that central speakers lead to: nodes with a speaker or, where none has one, nodes that the API hears of. */
function servedBy(state: ClusterState): ReadonlyMap<string, ServedNode> {
  const { active, nodes } = state;
  const isAlive = ({ name, taints }: ClusterState["nodes"][number]) =>
    active.length > 0 ? active.includes(name) : !taints.some((taint) => deadTaints.has(taint));
  const living = nodes.filter((node) => isAlive(node) && eligibilityOf(state, [], node.name) === "eligible");
  return servedNodes(
    living.map(({ name, labels, internalIPs = [] }) => ({
      name,
      labels,
      addresses: internalIPs.flatMap((text) => parseAddress(text) ?? []),
    })),
  );
}

const deadTaints = new Set(["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]);

/** The BGP sessions of every speaker that has some: of nodes, or central ones. */
export function peersOf({
  config,
  active,
  central,
  nodesHaveBgp,
  nodes,
}: ClusterState): ReadonlyMap<string, readonly NodePeer[]> {
  const labels = labelsOf({ nodes });
  const sessions = centralSessions(config.peers).filter(({ peer }) => peer.refusal === undefined);
  return new Map([
    ...(nodesHaveBgp ? active : []).map((node) => [node, nodePeers(config.peers, labels.get(node))] as const),
    ...central.map((speaker) => [speaker, sessions] as const),
  ]);
}

/** Peers whose central speakers do other things than the configuration seems to say, in sentences. */
export function doubtsOfCentral({ config: { peers }, central, nodesHaveBgp }: ClusterState): readonly string[] {
  if (central.length === 0) return [];
  const all = centralSessions(peers);
  const skipped = nodesHaveBgp ? [] : all.filter(({ peer }) => peer.refusal !== undefined).map(({ key }) => key);
  const narrow = all.filter(({ peer }) => peer.refusal === undefined && !peer.addPath).map(({ key }) => key);
  return [
    `${list([...central])} ${central.length === 1 ? "announces" : "announce"} by BGP for all nodes, which are the next hops`,
    ...(skipped.length > 0 ? [`nobody has a session with ${list(skipped)}: these are routers of each node's own`] : []),
    ...(narrow.length > 0 ? [`without add-path each prefix has one of its nodes alone at ${list(narrow)}`] : []),
  ];
}

function attributesOf(advertisement: BgpRoute["via"]["advertisement"], family: Address["family"]): string {
  const { localPref, communities, med, asPathPrepend, nextHop, nextHopV6, weightByEndpoints } = advertisement;
  const hop = family === "IPv4" ? nextHop : nextHopV6;
  const given: readonly (readonly [string, string])[] = [
    ["local-pref", localPref === undefined ? "" : `${localPref}`],
    ["communities", communities.map(formatCommunity).join(" ")],
    ["med", med === undefined ? "" : `${med}`],
    ["as-path-prepend", asPathPrepend === 0 ? "" : `${asPathPrepend}`],
    ["next-hop", hop === undefined ? "" : `${hop}`],
    ["weight-by-endpoints", weightByEndpoints ? "yes" : ""],
  ];
  return given.flatMap(([name, value]) => (value === "" ? [] : [`${name} ${value}`])).join(", ");
}

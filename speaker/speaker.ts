import type { Millis } from "#pkg/clock";
import type { Pool, PoolIndex } from "#pkg/config";
import type { GossipChanges } from "#pkg/gossip";
import type { EndpointSlice, Service } from "#pkg/k8s";
import type { InterfaceState } from "#pkg/layer2";
import type { InForce } from "#pkg/live-config";
import type { Address } from "#pkg/net";
import { type AddressPlacement, type Holder, type Labels, place, placeBgp } from "#pkg/placement";
import type { Announcer, RouteAnnouncer } from "./announcers.ts";
import { BgpPools } from "./bgp/routes/bgp-pools.ts";
import { FirstOwner } from "./conflicts/first-owner.ts";
import type { Gossip } from "./members/members.ts";
import { Agenda } from "./placing/agenda.ts";
import { CarrierHold } from "./placing/carrier-hold.ts";
import { NodeTable, type NodeTableOptions } from "./placing/node-table.ts";
import { ownReachability } from "./placing/own-reachability.ts";
import { PlacementTable } from "./placing/placement-table.ts";
import { ServiceTable } from "./placing/service-table.ts";
import { isSticky, StickyClaims } from "./placing/sticky-claims.ts";
import { PlacementReports } from "./reports/placement-reports.ts";
import { type Announcement, ServiceReports, type ServiceReportsOptions } from "./reports/service-reports.ts";

export interface SpeakerOptions extends NodeTableOptions, ServiceReportsOptions {
  readonly layer2: Announcer;
  readonly bgp: RouteAnnouncer;
  /** Runs `fn` after so many milliseconds. */
  readonly later: (delay: Millis, fn: () => void) => void;
  /** Of this node. */
  readonly interfaces: () => readonly InterfaceState[];
  /** There is something to do: call `reconcile` soon, after what else waits. Called once until then. */
  readonly wake: () => void;
}

/**
 * Turns placement into announcements: keeps what should be on the wire for every address, and does the difference. Cost follows
 * the addresses that something changed for; only a change of the members or of the configuration visits all of them, and one of a
 * node's labels those of the pools that the node may announce since then, or no longer.
 */
export class Speaker {
  readonly #options: SpeakerOptions;
  readonly #services = new ServiceTable();
  readonly #nodes: NodeTable;
  readonly #bgpPools: BgpPools;
  readonly #placements: PlacementTable;
  readonly #claims: StickyClaims;
  readonly #firstOwner = new FirstOwner();
  readonly #carriers: CarrierHold;
  readonly #agenda: Agenda;
  readonly #serviceReports: ServiceReports;
  readonly #placementReports: PlacementReports;
  #pools: PoolIndex | undefined;
  #layer2Pools: readonly Pool[] = [];
  #started = false;

  constructor(options: SpeakerOptions) {
    const { node, layer2, later, wake, log } = options;
    this.#options = options;
    this.#nodes = new NodeTable(options);
    this.#bgpPools = new BgpPools(node, (pool) => this.#nodes.eligibility(pool, node));
    this.#placements = new PlacementTable(node);
    this.#claims = new StickyClaims({
      node,
      later,
      placeAll: () => this.#touchPools(this.#layer2Pools.filter(isSticky)),
      reannounce: (address) => layer2.reannounce(address),
    });
    this.#carriers = new CarrierHold(later, () => this.interfacesChanged());
    this.#agenda = new Agenda(wake);
    const tables = { services: this.#services, nodes: this.#nodes, placements: this.#placements };
    this.#serviceReports = new ServiceReports(options, tables);
    this.#placementReports = new PlacementReports(log);
  }

  /** Until now the state was still arriving and nothing was announced; from now on it is whole. */
  start(): void {
    this.#started = true;
    for (const service of this.#services.services())
      for (const address of this.#services.addresses(service)) this.#firstOwner.wasThere(address.toString());
    this.#gossip?.state.participate();
    this.interfacesChanged();
    this.#nodesChanged();
    this.#touchAll();
  }

  /** This node can answer elsewhere than before, perhaps. The others are told at once. */
  interfacesChanged(): void {
    const gossip = this.#gossip;
    if (!this.#started || gossip === undefined) return;
    const interfaces = this.#carriers.apply(this.#options.interfaces(), this.#nodes.othersAnswer(this.#options.node));
    gossip.state.setReachability(ownReachability(interfaces, this.#layer2Pools));
    gossip.flush();
    this.#touchPools(this.#nodes.reachabilityChanged());
  }

  /** The others have told something new. */
  gossipChanged({ nodes, addresses }: GossipChanges): void {
    if (nodes) {
      this.#nodesChanged();
      this.#touchPools([...this.#nodes.reachabilityChanged(), ...this.#layer2Pools.filter(isSticky)]);
    }
    this.#agenda.touch(addresses.filter((address) => this.#placements.get(address.toString()) !== undefined));
  }

  setService(key: string, service: Service | undefined): void {
    this.#agenda.touch(this.#services.setService(key, service));
  }

  setEndpoints(key: string, now: EndpointSlice | undefined, before: EndpointSlice | undefined): void {
    this.#agenda.touch(this.#services.setSlice(key, now, before));
  }

  /** The labels of a node; undefined when there is no such node. */
  setNode(node: string, labels: Labels | undefined): void {
    if (labels === undefined) this.#gossip?.forget(node);
    const changed = this.#nodes.set(node, labels);
    if (node === this.#options.node) changed.push(...this.#bgpPools.setLabels(labels));
    const pools = changed.map(({ name }) => name);
    if (pools.length === 0) return;
    this.#options.log.info("node may announce other pools than before", { event: "nodeChanged", node, pools });
    this.#touchPools(changed);
  }

  setConfig({ config, pools }: Pick<InForce, "config" | "pools">): void {
    this.#pools = pools;
    this.#layer2Pools = config.pools.filter(({ protocol }) => protocol === "layer2");
    this.#bgpPools.setConfig(config);
    this.#nodes.forgetPools();
    this.interfacesChanged(); // Pools ask for interfaces by name.
    this.#nodesChanged();
    this.#touchAll();
  }

  membersChanged(): void {
    this.#nodesChanged();
    this.#agenda.touch(this.#placements.withOwners());
  }

  /**
   * Others took this node for gone, and may have announced what it has: tells everyone again. Not of what stays where it is: whoever
   * announced that as well has claimed it, and of those who claim it the one that keeps it tells everyone when the others have yielded.
   */
  reclaim(): void {
    for (const { address, protocol } of this.announced())
      if (protocol === "layer2" && !this.#claims.inForceFor(this.#pools?.find(address))) this.#options.layer2.reannounce(address);
  }

  /** What of the configuration cannot be as it is asked for, for an operator. */
  get warnings(): readonly string[] {
    const { warning } = this.#placementReports;
    return warning === undefined ? [] : [warning];
  }

  /** What this node announces, by service key. */
  get announcements(): ReadonlyMap<string, Announcement> {
    return this.#serviceReports.announcements;
  }

  /** Where the addresses are placed that this node announces. */
  announced(): Iterable<AddressPlacement> {
    return this.#placements.announced();
  }

  /** Where an address is placed that a Service has. */
  placement(address: Address): AddressPlacement | undefined {
    return this.#placements.get(address.toString());
  }

  /** The Service as the API has it. */
  service(key: string): Service | undefined {
    return this.#services.service(key);
  }

  /** The Services with this address in their status. */
  holders(address: Address): readonly Holder[] {
    return this.#services.holders(address);
  }

  /**
   * Places again some of what changed, and does the difference; wakes for the rest. What was done is told when all of it is: where
   * thousands of addresses move, logs and events take longer than everything else.
   */
  reconcile(): void {
    this.#agenda.begin();
    const pools = this.#pools;
    if (!this.#started || pools === undefined) return;
    for (const address of this.#agenda.takeAddresses()) this.#agenda.tellOf(this.#placeAgain(address, pools));
    if (this.#agenda.allPlaced) this.#agenda.touch(this.#claims.settle());
    this.#gossip?.flush();
    const settled = this.#agenda.settle();
    this.#options.bgp.flush(settled);
    if (settled) for (const service of this.#agenda.takeServices()) this.#serviceReports.tell(service, pools);
    this.#agenda.wake();
  }

  /** @returns the Services for which something may be different now */
  #placeAgain(address: Address, pools: PoolIndex): Iterable<string> {
    const key = address.toString();
    const { node, layer2, bgp } = this.#options;
    const before = this.#placements.get(key);
    const holders = this.#services.holders(address);
    const pool = pools.find(address);
    const byBgp = pool?.protocol === "bgp" ? placeBgp(address, holders, this.#bgpPools.of(pool)) : undefined;
    const rule = this.#claims.rule(address, pool, before?.owner);
    const now = byBgp ?? place(address, holders, pool && this.#nodes.of(pool), before, rule);
    bgp.setRoutes(address, byBgp?.routes ?? []);
    this.#placements.set(key, holders.length === 0 ? undefined : now);
    const isFirst = this.#firstOwner.placed(key, { held: holders.length > 0, owned: now.owner !== undefined });
    if (now.owner === node && pool !== undefined) layer2.announce(address, { ...pool, isFirst });
    if (now.owner !== node && before?.owner === node) layer2.withdraw(address);
    this.#claims.placed(now, pool, this.#gossip?.state);
    if (now.owner !== before?.owner) this.#agenda.touch(followers(address, holders));
    return [...(before?.verdicts.keys() ?? []), ...now.verdicts.keys()];
  }

  get #gossip(): Gossip | undefined {
    return this.#options.gossip();
  }

  /** Others are active or take part than before, or the configuration asks for something else. */
  #nodesChanged(): void {
    this.#claims.nodesChanged(this.#gossip);
    this.#placementReports.check(this.#layer2Pools, this.#gossip);
  }

  #touchPools(pools: readonly Pool[]): void {
    this.#agenda.touch(this.#placements.inPools(pools));
  }

  #touchAll(): void {
    this.#claims.bePatient();
    this.#agenda.unsettle();
    for (const service of this.#services.services()) this.#agenda.touch(this.#services.addresses(service));
  }
}

/** The addresses that go where this one goes. */
function followers(address: Address, holders: readonly Holder[]): readonly Address[] {
  return holders.flatMap(({ addresses }) => (addresses[0]?.equals(address) ? addresses.slice(1) : []));
}

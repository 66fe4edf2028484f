import type { Millis } from "#pkg/clock";
import type { Pool, PoolIndex, Protocol } from "#pkg/config";
import type { EndpointSlice, Service } from "#pkg/k8s";
import type { InterfaceState } from "#pkg/layer2";
import type { InForce } from "#pkg/live-config";
import type { Log } from "#pkg/log";
import type { Address } from "#pkg/net";
import {
  type AddressPlacement,
  type BgpRoute,
  type Changes,
  type Choose,
  elect,
  eligibleFor,
  type Holder,
  hasInterface,
  type KnownReach,
  type Labels,
  type NoAddresses,
  type NotAnnounced,
  place,
  placeBgp,
  type Standing,
  StickyOwners,
} from "#pkg/placement";
import { BgpReaches } from "./bgp/reaches.ts";
import { FirstOwner } from "./conflicts/first-owner.ts";
import type { GuardedAnnouncement } from "./conflicts/guard.ts";
import type { Exchange } from "./members/members.ts";
import { NodeTable } from "./node-table.ts";
import { describeObstacle, isObstacle, type Obstacle } from "./obstacle.ts";
import { ownReach } from "./own-reach.ts";
import { placementWarning } from "./placement-warning.ts";
import { ServiceTable } from "./service-table.ts";

/** What puts addresses on the wire. Both calls may be repeated; the last one counts. */
export interface Announcer {
  announce(address: Address, on: GuardedAnnouncement): void;
  withdraw(address: Address): void;
  /** Others may have announced it too: tells everyone once more. */
  announceAgain(address: Address): void;
}

/** What tells routers. The last call for an address counts. */
export interface RouteAnnouncer {
  setRoutes(address: Address, routes: readonly BgpRoute[]): void;
  /** What was set can be told now. `complete`: all that is known has been placed. */
  flush(complete: boolean): void;
}

export interface SpeakerOptions {
  /** This node's name. */
  readonly node: string;
  readonly layer2: Announcer;
  readonly bgp: RouteAnnouncer;
  readonly active: () => readonly string[];
  /** Runs `fn` after so many milliseconds. */
  readonly later: (delay: Millis, fn: () => void) => void;
  /** How the speakers tell one another of themselves, if they do. */
  readonly exchange: () => Exchange | undefined;
  /** Of this node. */
  readonly interfaces: () => readonly InterfaceState[];
  /** Nodes that Kubernetes excludes from load balancers announce all the same. */
  readonly ignoreExcludeLabel: boolean;
  readonly log: Log;
  /** There is something to do: call `reconcile` soon, after what else waits. Called once until then. */
  readonly wake: () => void;
  /** This node began to announce a Service on layer 2, where it is the only one. */
  readonly announced: (service: Service) => void;
  /** No node may announce a Service, and of all speakers it is this one that says so. */
  readonly unannounced: (service: Service, reason: Obstacle["reason"], message: string) => void;
}

/** What this node announces for one Service. */
export interface Announcement {
  readonly protocol: Protocol;
  readonly pool: string;
  readonly addresses: readonly string[];
}

// With 50 members about 10 ms of hashing. The first elections for 10,000 addresses take a second: silent for that long, this node
// would be taken for dead by the ring it has just joined.
const mostAtOnce = 100;

// For speakers that start together, or hear of a new configuration one after another.
const patienceMs: Millis = 1_000;

type Withdrawal =
  | NotAnnounced
  | NoAddresses
  | "serviceDeleted"
  | "loadBalancerIPChanged"
  | "notOwner"
  /** The pool's node selectors match other nodes, and not this one. */
  | "nodeNotSelected";

const whyNot: Readonly<Record<Exclude<Standing, "eligible">, Withdrawal>> = {
  excluded: "nodeExcluded",
  notSelected: "nodeNotSelected",
};

/**
 * Turns placement into announcements: keeps what should be on the wire for every address, and does the difference. Cost follows
 * the addresses that something changed for; only a change of the members or of the configuration visits all of them, and one of a
 * node's labels those of the pools that the node may announce since then, or no longer.
 */
export class Speaker {
  readonly #options: SpeakerOptions;
  readonly #table = new ServiceTable();
  readonly #nodes: NodeTable;
  readonly #reaches: BgpReaches;
  readonly #dirty = new Map<string, Address>(); // text -> address to place again
  readonly #untold = new Set<string>(); // service keys to report on
  readonly #firstOwner = new FirstOwner();
  readonly #placements = new Map<string, AddressPlacement>(); // address -> where it is announced
  readonly #contested = new Set<string>(); // addresses that this node has and another claims
  readonly #announcements = new Map<string, Announcement>(); // service key -> what this node announces
  readonly #obstacles = new Map<string, Obstacle["reason"]>(); // service key -> why no node may announce it
  #pools: PoolIndex | undefined;
  #layer2Pools: readonly Pool[] = [];
  #sticky: StickyOwners | undefined; // Undefined while addresses cannot stay where they are.
  #warning: string | undefined;
  #patient = false; // Others are given time to claim what they have, and to take part.
  #started = false;
  #awake = false;
  #settled = false; // All is placed, and routers were told so.

  constructor(options: SpeakerOptions) {
    this.#options = options;
    this.#nodes = new NodeTable(options.active, options.ignoreExcludeLabel, (node) => this.#reachOf(node));
    this.#reaches = new BgpReaches(options.node, (pool) => this.#nodes.standing(pool, options.node));
  }

  /** Until now the state was still arriving and nothing was announced; from now on it is whole. */
  start(): void {
    this.#started = true;
    for (const service of this.#table.services())
      for (const address of this.#table.addresses(service)) this.#firstOwner.wasThere(address.toString());
    this.#exchange?.reports.takePart();
    this.interfacesChanged();
    this.#nodesChanged();
    this.#bePatient();
    this.#touchAll();
  }

  /** This node can answer elsewhere than before, perhaps. The others are told at once. */
  interfacesChanged(): void {
    const exchange = this.#exchange;
    if (!this.#started || exchange === undefined) return;
    exchange.reports.setReach(ownReach(this.#options.interfaces(), this.#layer2Pools));
    exchange.tell();
    this.#touchPools(this.#nodes.reachesChanged());
  }

  /** The others have told something new. */
  heard({ nodes, addresses }: Changes): void {
    if (nodes) {
      this.#nodesChanged();
      this.#touchPools([...this.#nodes.reachesChanged(), ...this.#layer2Pools.filter(isSticky)]);
    }
    this.#touch(addresses.filter((address) => this.#placements.has(address.toString())));
  }

  setService(key: string, service: Service | undefined): void {
    this.#touch(this.#table.setService(key, service));
  }

  setEndpoints(key: string, now: EndpointSlice | undefined, before: EndpointSlice | undefined): void {
    this.#touch(this.#table.setSlice(key, now, before));
  }

  /** The labels of a node; undefined when there is no such node. */
  setNode(node: string, labels: Labels | undefined): void {
    if (labels === undefined) this.#exchange?.forget(node);
    const changed = this.#nodes.set(node, labels);
    if (node === this.#options.node) changed.push(...this.#reaches.setLabels(labels));
    const pools = changed.map(({ name }) => name);
    if (pools.length === 0) return;
    this.#options.log.info("node may announce other pools than before", { event: "nodeChanged", node, pools });
    this.#touchPools(changed);
  }

  setConfig({ config, pools }: Pick<InForce, "config" | "pools">): void {
    this.#pools = pools;
    this.#layer2Pools = config.pools.filter(({ protocol }) => protocol === "layer2");
    this.#reaches.setConfig(config);
    this.#nodes.forgetPools();
    this.interfacesChanged(); // Pools ask for interfaces by name.
    this.#nodesChanged();
    this.#bePatient();
    this.#touchAll();
  }

  membersChanged(): void {
    this.#nodesChanged();
    for (const { address, protocol } of this.#placements.values()) if (protocol !== "bgp") this.#touch([address]);
  }

  /**
   * Others took this node for gone, and may have announced what it has: tells everyone again. Not of what stays where it is: whoever
   * announced that as well has claimed it, and of those who claim it the one that keeps it tells everyone when the others have yielded.
   */
  reclaim(): void {
    for (const { address, protocol } of this.announced())
      if (protocol === "layer2" && !this.#stays(address)) this.#options.layer2.announceAgain(address);
  }

  /** What of the configuration cannot be as it is asked for, for an operator. */
  get warnings(): readonly string[] {
    return this.#warning === undefined ? [] : [this.#warning];
  }

  /** What this node announces, by service key. */
  get announcements(): ReadonlyMap<string, Announcement> {
    return this.#announcements;
  }

  /** Where the addresses are placed that this node announces. */
  *announced(): Iterable<AddressPlacement> {
    for (const placement of this.#placements.values()) if (this.#announces(placement)) yield placement;
  }

  /** Where an address is placed that a Service has. */
  placement(address: Address): AddressPlacement | undefined {
    return this.#placements.get(address.toString());
  }

  /** The Service as the API has it. */
  service(key: string): Service | undefined {
    return this.#table.service(key);
  }

  /** The Services with this address in their status. */
  holders(address: Address): readonly Holder[] {
    return this.#table.holders(address);
  }

  /**
   * Places again some of what changed, and does the difference; wakes for the rest. What was done is told when all of it is: where
   * thousands of addresses move, logs and events take longer than everything else.
   */
  reconcile(): void {
    this.#awake = false;
    if (!this.#started || this.#pools === undefined) return;
    for (const [key, address] of this.#dirty.entries().take(mostAtOnce)) {
      this.#dirty.delete(key);
      for (const service of this.#placeAgain(address, this.#pools)) this.#untold.add(service);
    }
    // When all is placed: which nodes have room for more depends on that.
    if (this.#dirty.size === 0) for (const address of this.#sticky?.settle(this.#patient) ?? []) this.#touch([address]);
    this.#exchange?.tell();
    this.#settled = this.#dirty.size === 0;
    this.#options.bgp.flush(this.#settled);
    if (this.#settled)
      for (const service of this.#untold.values().take(mostAtOnce)) {
        this.#untold.delete(service);
        this.#report(service);
        this.#reportObstacle(service);
      }
    this.#wake();
  }

  /** @returns the Services for which something may be different now */
  #placeAgain(address: Address, pools: PoolIndex): Iterable<string> {
    const key = address.toString();
    const { node, layer2, bgp } = this.#options;
    const before = this.#placements.get(key);
    const holders = this.#table.holders(address);
    const pool = pools.find(address);
    const byBgp = pool?.protocol === "bgp" ? placeBgp(address, holders, this.#reaches.of(pool)) : undefined;
    const now = byBgp ?? place(address, holders, pool && this.#nodes.of(pool), before, this.#rule(address, pool, before?.owner));
    bgp.setRoutes(address, byBgp?.routes ?? []);
    if (holders.length === 0) this.#placements.delete(key);
    else this.#placements.set(key, now);
    const isFirst = this.#firstOwner.placed(key, { held: holders.length > 0, owned: now.owner !== undefined });
    if (now.owner === node && pool !== undefined) layer2.announce(address, { ...pool, isFirst });
    if (now.owner !== node && before?.owner === node) layer2.withdraw(address);
    this.#claim(now, pool);
    if (now.owner !== before?.owner) for (const follower of followers(address, holders)) this.#touch([follower]);
    return [...(before?.verdicts.keys() ?? []), ...now.verdicts.keys()];
  }

  #report(key: string): void {
    const before = this.#announcements.get(key);
    const now = this.#announcement(key);
    if (now !== undefined) this.#announcements.set(key, now);
    else this.#announcements.delete(key);
    const gone = missingFrom(now, before);
    const came = missingFrom(before, now);
    const { log } = this.#options;
    if (now === undefined && before === undefined)
      log.debug("service is not announced from here", {
        event: "serviceNotAnnounced",
        service: key,
        reason: this.#withdrawal(key, this.#table.addresses(key).map(String)),
      });
    if (gone.length > 0) {
      const reason = this.#withdrawal(key, gone);
      log.info("withdrawing service announcement", { event: "serviceWithdrawn", service: key, ips: gone, reason });
    }
    if (now === undefined || came.length === 0) return;
    const { addresses: ips, pool, protocol } = now;
    log.info("service has IP, announcing", { event: "serviceAnnounced", service: key, ips, pool, protocol });
    const service = this.#table.service(key);
    if (service !== undefined && protocol === "layer2") this.#options.announced(service);
  }

  /**
   * Says that no node may announce a Service when it comes to that: the one that would own its address if every node with a speaker
   * could, so that it is said once.
   */
  #reportObstacle(key: string): void {
    const service = this.#table.service(key);
    const [found] = this.#table.addresses(key).flatMap((address) => this.#obstacle(key, address));
    const before = this.#obstacles.get(key);
    if (service === undefined || found === undefined) {
      this.#obstacles.delete(key);
      return;
    }
    const { placement, obstacle } = found;
    const { reason } = obstacle;
    this.#obstacles.set(key, reason);
    const { node, active, log, unannounced } = this.#options;
    if (reason === before || elect(active(), placement.electionAddress) !== node) return;
    // One that can answer nowhere is cut off, as when its only cable is pulled: the others know better, and it is not heard anyway.
    if (reason === "noInterface" && this.#exchange?.reports.reach(node)?.answers === false) return;
    const message = describeObstacle(placement, obstacle, service.externalTrafficPolicy);
    log.warn("no node may announce the service", { event: "serviceNotAnnounced", service: key, reason, warning: message });
    unannounced(service, reason, message);
  }

  #obstacle(key: string, address: Address): { placement: AddressPlacement; obstacle: Obstacle }[] {
    const placement = this.#placements.get(address.toString());
    const verdict = placement?.verdicts.get(key);
    if (placement?.protocol === "bgp") return []; // Each node judges by itself: it cannot say that none announces.
    if (placement === undefined || verdict === undefined || verdict.announced || !isObstacle(verdict)) return [];
    return [{ placement, obstacle: verdict }];
  }

  /** On layer 2 as the one owner, by BGP for whatever Service. */
  #announces({ owner, protocol, verdicts }: AddressPlacement): boolean {
    return protocol === "bgp" ? verdicts.values().some(({ announced }) => announced) : owner === this.#options.node;
  }

  #announcement(key: string): Announcement | undefined {
    const placements = this.#table.addresses(key).flatMap((address) => this.#placements.get(address.toString()) ?? []);
    const mine = placements.filter((placement) => this.#announces(placement) && placement.verdicts.get(key)?.announced);
    const [first] = mine;
    if (first?.pool === undefined || first.protocol === undefined) return undefined;
    return { protocol: first.protocol, pool: first.pool, addresses: mine.map(({ address }) => address.toString()) };
  }

  /** Why this node does not announce these addresses for the Service. */
  #withdrawal(key: string, addresses: readonly string[]): Withdrawal {
    const none = this.#table.noAddresses(key);
    if (none !== undefined) return none;
    const placement = addresses.map((address) => this.#placements.get(address)).find((one) => one?.verdicts.has(key));
    const verdict = placement?.verdicts.get(key);
    if (placement === undefined || verdict === undefined) return "loadBalancerIPChanged"; // It is no longer in the status.
    if (!verdict.announced) return verdict.reason;
    const pool = this.#pools?.find(placement.address);
    return pool === undefined ? "notOwner" : this.#whyAnother(pool, placement.address);
  }

  /** Why this node does not announce what another one does. */
  #whyAnother(pool: Pool, address: Address): Withdrawal {
    const { node } = this.#options;
    const standing = this.#nodes.standing(pool, node);
    if (standing !== "eligible") return whyNot[standing];
    if (!hasInterface(pool, this.#reachOf(node))) return "noInterface";
    const nodes = this.#nodes.of(pool);
    return nodes.eligible.includes(node) && !eligibleFor(nodes, address).includes(node) ? "notInSubnet" : "notOwner";
  }

  get #exchange(): Exchange | undefined {
    return this.#options.exchange();
  }

  #reachOf(node: string): KnownReach {
    const exchange = this.#exchange;
    if (exchange === undefined || exchange.silent().includes(node)) return "untold";
    return exchange.reports.reach(node) ?? "awaited";
  }

  /** Others are active or take part than before, or the configuration asks for something else. */
  #nodesChanged(): void {
    const exchange = this.#exchange;
    if (exchange === undefined || exchange.silent().length > 0) this.#sticky = undefined;
    else this.#sticky ??= new StickyOwners(this.#options.node, exchange.reports);
    this.#sticky?.nodesChanged();
    const warning = placementWarning(this.#layer2Pools, exchange);
    if (warning === this.#warning) return;
    this.#warning = warning;
    const { log } = this.#options;
    if (warning === undefined) log.info("pools are placed as they ask for again", { event: "placementAsAsked" });
    else log.warn("pools are not placed as they ask for", { event: "placementNotAsAsked", warning });
  }

  #bePatient(): void {
    if (this.#patient) return;
    this.#patient = true;
    this.#options.later(patienceMs, () => {
      this.#patient = false;
      this.#touchPools(this.#layer2Pools.filter(isSticky));
    });
  }

  #stays(address: Address): boolean {
    const pool = this.#pools?.find(address);
    return this.#sticky !== undefined && pool !== undefined && isSticky(pool);
  }

  /** How the owner of an address is chosen; undefined for the election. */
  #rule(address: Address, pool: Pool | undefined, before: string | undefined): Choose | undefined {
    const sticky = this.#sticky;
    if (sticky === undefined || pool === undefined || !isSticky(pool)) return undefined;
    return (candidates, first) =>
      first.equals(address) ? sticky.place(address, candidates, before) : sticky.follow(first, candidates);
  }

  /** Claims what this node has of what stays where it is, also while other speakers have it chosen by hash. */
  #claim({ address, electionAddress, owner }: AddressPlacement, pool: Pool | undefined): void {
    const reports = this.#exchange?.reports;
    if (reports === undefined) return;
    const key = address.toString();
    const stays = pool !== undefined && isSticky(pool) && electionAddress.equals(address);
    if (!stays) this.#sticky?.remove(address);
    if (!stays || owner !== this.#options.node) {
      reports.release(address);
      this.#contested.delete(key);
      return;
    }
    reports.claim(address);
    if (reports.claimants(key).length > 1) this.#contested.add(key);
    // Until now another announced it as well, and hosts may have believed that one last.
    else if (this.#contested.delete(key)) this.#options.layer2.announceAgain(address);
  }

  #touch(addresses: Iterable<Address>): void {
    for (const address of addresses) this.#dirty.set(address.toString(), address);
    this.#wake();
  }

  #wake(): void {
    if (this.#awake || (this.#settled && this.#dirty.size + this.#untold.size === 0)) return;
    this.#awake = true;
    this.#options.wake();
  }

  #touchPools(pools: readonly Pool[]): void {
    if (pools.length === 0) return;
    const names = new Set(pools.map(({ name }) => name));
    for (const { pool, address } of this.#placements.values()) if (pool !== undefined && names.has(pool)) this.#touch([address]);
  }

  #touchAll(): void {
    this.#settled = false;
    for (const service of this.#table.services()) this.#touch(this.#table.addresses(service));
    this.#wake();
  }
}

/** The addresses of `one` that `other` does not have. */
function missingFrom(other: Announcement | undefined, one: Announcement | undefined): readonly string[] {
  return (one?.addresses ?? []).filter((address) => !other?.addresses.includes(address));
}

function isSticky({ l2Placement }: Pool): boolean {
  return l2Placement.sticky;
}

/** The addresses that go where this one goes. */
function followers(address: Address, holders: readonly Holder[]): readonly Address[] {
  return holders.flatMap(({ addresses }) => (addresses[0]?.equals(address) ? addresses.slice(1) : []));
}

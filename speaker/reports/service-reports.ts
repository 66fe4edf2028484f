import type { PoolIndex, Protocol } from "#pkg/config";
import type { Service } from "#pkg/k8s";
import type { Log } from "#pkg/log";
import type { Address } from "#pkg/net";
import { type AddressPlacement, elect, type NotAnnounced } from "#pkg/placement";
import type { NoAddresses } from "#pkg/service";
import type { NodeTable, NotHere } from "../placing/node-table.ts";
import type { PlacementTable } from "../placing/placement-table.ts";
import type { ServiceTable } from "../placing/service-table.ts";
import { describeObstacle, isObstacle, type Obstacle } from "./obstacle.ts";

export interface ServiceReportsOptions {
  /** This node's name. */
  readonly node: string;
  /** Nodes with a speaker. */
  readonly active: () => readonly string[];
  /** This node began to announce a Service on layer 2, where it is the only one. */
  readonly announced: (service: Service) => void;
  /** No node may announce a Service, and of all speakers it is this one that says so. */
  readonly unannounced: (service: Service, reason: Obstacle["reason"], message: string) => void;
  readonly log: Log;
}

/** All that is known of Services, nodes and addresses. */
export interface Tables {
  readonly services: ServiceTable;
  readonly nodes: NodeTable;
  readonly placements: PlacementTable;
}

/** What this node announces for one Service. */
export interface Announcement {
  readonly protocol: Protocol;
  readonly pool: string;
  readonly addresses: readonly string[];
}

type Withdrawal = NotAnnounced | NoAddresses | NotHere | "serviceDeleted" | "loadBalancerIPChanged";

/** Tells people, by the log and events, what became of each Service: that it is announced from here, why it no longer is, why nobody may. */
export class ServiceReports {
  readonly #options: ServiceReportsOptions;
  readonly #tables: Tables;
  readonly #announcements = new Map<string, Announcement>(); // service key -> what this node announces
  readonly #obstacles = new Map<string, Obstacle["reason"]>(); // service key -> why no node may announce it

  constructor(options: ServiceReportsOptions, tables: Tables) {
    this.#options = options;
    this.#tables = tables;
  }

  /** What this node announces, by service key, as far as it was told. */
  get announcements(): ReadonlyMap<string, Announcement> {
    return this.#announcements;
  }

  /** Says what is different about a Service since it was told of last. */
  tell(key: string, pools: PoolIndex): void {
    this.#tellAnnouncement(key, pools);
    this.#tellObstacle(key);
  }

  #tellAnnouncement(key: string, pools: PoolIndex): void {
    const { services } = this.#tables;
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
        reason: this.#withdrawal(key, services.addresses(key).map(String), pools),
      });
    if (gone.length > 0) {
      const reason = this.#withdrawal(key, gone, pools);
      log.info("withdrawing service announcement", { event: "serviceWithdrawn", service: key, ips: gone, reason });
    }
    if (now === undefined || came.length === 0) return;
    const { addresses: ips, pool, protocol } = now;
    log.info("service has IP, announcing", { event: "serviceAnnounced", service: key, ips, pool, protocol });
    const service = services.service(key);
    if (service !== undefined && protocol === "layer2") this.#options.announced(service);
  }

  /**
   * Says that no node may announce a Service when it comes to that: the one that would own its address if every node with a speaker
   * could, so that it is said once.
   */
  #tellObstacle(key: string): void {
    const { services, nodes } = this.#tables;
    const service = services.service(key);
    const [found] = services.addresses(key).flatMap((address) => this.#obstacle(key, address));
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
    const reachability = nodes.reachability(node);
    if (reason === "noInterface" && typeof reachability === "object" && !reachability.answers) return;
    const message = describeObstacle(placement, obstacle, service.externalTrafficPolicy);
    log.warn("no node may announce the service", { event: "serviceNotAnnounced", service: key, reason, warning: message });
    unannounced(service, reason, message);
  }

  #obstacle(key: string, address: Address): { placement: AddressPlacement; obstacle: Obstacle }[] {
    const placement = this.#tables.placements.get(address.toString());
    const verdict = placement?.verdicts.get(key);
    if (placement?.protocol === "bgp") return []; // Each node judges by itself: it cannot say that none announces.
    if (placement === undefined || verdict === undefined || verdict.announced || !isObstacle(verdict)) return [];
    return [{ placement, obstacle: verdict }];
  }

  #announcement(key: string): Announcement | undefined {
    const { services, placements } = this.#tables;
    const all = services.addresses(key).flatMap((address) => placements.get(address.toString()) ?? []);
    const mine = all.filter((placement) => placements.isAnnounced(placement) && placement.verdicts.get(key)?.announced);
    const [first] = mine;
    if (first?.pool === undefined || first.protocol === undefined) return undefined;
    return { protocol: first.protocol, pool: first.pool, addresses: mine.map(({ address }) => address.toString()) };
  }

  /** Why this node does not announce these addresses for the Service. */
  #withdrawal(key: string, addresses: readonly string[], pools: PoolIndex): Withdrawal {
    const { services, nodes, placements } = this.#tables;
    const none = services.noAddresses(key);
    if (none !== undefined) return none;
    const placement = addresses.map((address) => placements.get(address)).find((one) => one?.verdicts.has(key));
    const verdict = placement?.verdicts.get(key);
    if (placement === undefined || verdict === undefined) return "loadBalancerIPChanged"; // It is no longer in the status.
    if (!verdict.announced) return verdict.reason;
    const pool = pools.find(placement.address);
    return pool === undefined ? "notOwner" : nodes.whyAnother(pool, this.#options.node, placement.address);
  }
}

/** The addresses of `one` that `other` does not have. */
function missingFrom(other: Announcement | undefined, one: Announcement | undefined): readonly string[] {
  return (one?.addresses ?? []).filter((address) => !other?.addresses.includes(address));
}

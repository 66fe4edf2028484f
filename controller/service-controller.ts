import { type Allocation, type IpamPool, isFor, type PoolUsage, poolsOf, type Refusal } from "#pkg/allocator";
import { type Decision, type Keeping, keepAll, type RecordedAllocator, releasedBy, type Warning } from "#pkg/assignment";
import type { Clock, Millis, Portions, Random } from "#pkg/clock";
import { type Config, isStrict } from "#pkg/config";
import { type Cluster, type EventRecorder, type Informer, type Service, serviceReference } from "#pkg/k8s";
import type { Log } from "#pkg/log";
import { families, parseAddress } from "#pkg/net";
import type { Occupant } from "#pkg/quarantine";
import { isOurs, recordedAddresses } from "#pkg/service";
import { type Dated, verdict } from "#pkg/verdict";
import { GivenUp } from "./given-up.ts";
import type { ControllerMetrics } from "./metrics.ts";
import { heedOccupants } from "./occupants.ts";
import { RecentAssignments } from "./recent-assignments.ts";
import { StatusWriter } from "./status-writer.ts";
import { takeRecorded } from "./take-recorded.ts";
import { PoolVerdicts } from "./verdicts/pool-verdicts.ts";
import { ServiceVerdicts } from "./verdicts/service-verdicts.ts";
import { WaitList } from "./wait-list.ts";
import {
  type AllocationTerms,
  changedResources,
  freedOf,
  freedResources,
  freeInPool,
  isSameAllocation,
  termsOf,
  waitsOf,
} from "./waits.ts";
import { type Outcome, WorkQueue } from "./work-queue.ts";

export interface ServiceControllerOptions {
  readonly cluster: Pick<Cluster, "writeIngress">;
  readonly events: Pick<EventRecorder, "record">;
  /** Has seen every Service once. */
  readonly services: Pick<Informer<Service>, "get" | "values">;
  readonly allocator: RecordedAllocator;
  /** Called after each decision, which may have changed what the Service holds, with why it did not get what it asks for. */
  readonly decided: (service: string, unmet: Refusal | undefined) => void;
  /** Called with texts about addresses that are reserved for others than who holds them, if there are any in other pools. */
  readonly reservedElsewhere: (held: readonly string[]) => void;
  readonly metrics: Pick<ControllerMetrics, "updates" | "updateErrors" | "allocation" | "statusWrite">;
  /** What concerns all Services is done in them, for some hundred in each. */
  readonly portions: Pick<Portions, "do">;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
}

// For each what it may keep is looked at: some 10 µs.
const servicesAtOnce = 200;
// What hides the round trip to the API server; more would only wait there, and be decided on too early.
const writesAtOnce = 32;

/**
 * Gives Services their addresses: decides on each whenever it, the configuration or what it waits for has changed, writes its
 * status, and records events for its owner. Does nothing until it is configured.
 */
export class ServiceController {
  readonly #options: ServiceControllerOptions;
  readonly #queue: WorkQueue;
  readonly #waiting = new WaitList();
  readonly #terms = new Map<string, AllocationTerms>(); // service -> the terms on which it shares what it holds
  readonly #warnings = new Map<string, string>(); // service -> the last warning, while it holds
  readonly #kept = new Map<string, string>(); // service -> the same of what it keeps and would not be given now
  readonly #recent: RecentAssignments;
  #reported: ReadonlyMap<string, Occupant> = new Map(); // address -> the host of the network that has it, as speakers report
  #ipam: readonly IpamPool[] = [];
  #occupants: ReadonlyMap<string, string> = new Map(); // address -> the same in words, of those that count
  #strictPools: ReadonlySet<string> = new Set();
  readonly #waitingSince = new Map<string, Millis>(); // service without addresses -> when that was seen
  readonly #givenUp: GivenUp;
  readonly #statuses: StatusWriter;
  #configuring: { readonly mayRenumber: boolean } | undefined; // The steps to other pools that are under way.
  readonly #appeared = new Set<string>(); // Services that came meanwhile with other addresses on record than they hold.
  readonly #verdicts: ServiceVerdicts;
  readonly #pools: PoolVerdicts;
  #state: { readonly type: "idle" | "configured" } | { readonly type: "unconfigured"; readonly why: string } = { type: "idle" };

  constructor(options: ServiceControllerOptions) {
    this.#options = options;
    const { allocator, clock, random } = options;
    this.#givenUp = new GivenUp({
      held: (service) => allocator.held(service)?.addresses ?? [],
      retry: (service) => this.changed(service),
    });
    this.#statuses = new StatusWriter({ ...options, givenUp: this.#givenUp });
    this.#recent = new RecentAssignments(clock);
    this.#verdicts = new ServiceVerdicts(clock);
    this.#pools = new PoolVerdicts(options.allocator, clock);
    this.#queue = new WorkQueue({ work: (key) => this.#work(key), concurrency: writesAtOnce, clock, random });
  }

  /**
   * Addresses may be given from these pools, once all Services have been looked at; until then none is decided on. Where an address in use is
   * in none of them its Service gives it up if it `mayRenumber`, or else an error is thrown then: that is to be ruled out before. What may be given
   * up for one configuration may be so for the next one, too, where that comes before all is given up.
   */
  configure(config: Pick<Config, "pools" | "quotas">, mayRenumber = false): void {
    const { portions } = this.#options;
    const configuring = { mayRenumber: mayRenumber || this.#configuring?.mayRenumber === true };
    this.#configuring = configuring;
    const steps = this.#configure(config, configuring.mayRenumber);
    this.#queue.pause();
    const portion = (): void => {
      if (this.#configuring !== configuring) return;
      if (steps.next().done) {
        this.#configuring = undefined;
        this.#queue.resume();
      } else portions.do(portion);
    };
    portions.do(portion);
  }

  /** A step for some hundred Services each. */
  *#configure({ pools, quotas }: Pick<Config, "pools" | "quotas">, mayRenumber: boolean): Generator<undefined, void> {
    const { allocator, services, log } = this.#options;
    let stranded = yield* allocator.replacePools(pools, quotas);
    if (stranded.length > 0) {
      // Services that are gone, but have not been decided on since, hold nothing any more.
      for (const { service, address } of stranded) {
        if (services.get(service) !== undefined) {
          if (mayRenumber) allocator.giveUp(service, address);
        } else if (allocator.release(service)) log.info("service deleted", { event: "serviceDeleted", service, ips: [address] });
      }
      stranded = yield* allocator.replacePools(pools, quotas);
    }
    for (const { service, address } of stranded)
      throw new Error(`Cannot change pools: ${service} holds ${address}, which would be in none`);
    this.#strictPools = new Set(pools.filter(isStrict).map(({ name }) => name));
    const status = this.#state.type === "configured" ? "written" : "recorded";
    const keys = Array.from(services.values(), ({ key }) => key);
    let looked = 0;
    for (const _ of keepAll(keys, (key) => this.#current(key), allocator, status)) if (++looked % servicesAtOnce === 0) yield;
    this.#state = { type: "configured" };
    yield* this.#pools.replace();
    this.#heedOccupants();
    const elsewhere: string[] = [];
    for (const { key } of services.values()) {
      if (++looked % servicesAtOnce === 0) yield;
      this.#givenUp.look(key, services.get(key));
      this.#queue.add(key);
      if (allocator.hasReserved)
        for (const address of allocator.held(key)?.addresses ?? []) {
          const holder = allocator.reservedFor(address);
          if (holder !== undefined && !isFor(holder, key)) elsewhere.push(`${address} with ${key}`);
        }
    }
    // In this step, so that none appears before decisions go on.
    this.#takeRecorded(this.#appeared);
    this.#appeared.clear();
    if (elsewhere.length > 0) this.#options.reservedElsewhere(elsewhere);
  }

  /**
   * A namespace has these labels, or none that are known. If that is news, its Services are decided on again, and those that are counted
   * with them; else no configuration has asked for them so far.
   */
  namespaceChanged(name: string, labels: Readonly<Record<string, string>> | undefined, isNews: boolean): void {
    const { allocator, services } = this.#options;
    const before = allocator.quotasOf(name);
    const isRecounted = allocator.setNamespace(name, labels);
    if (!isNews) return;
    for (const { key, namespace } of services.values()) if (namespace === name) this.changed(key);
    if (!isRecounted) return;
    for (const counter of new Set([...before, ...allocator.quotasOf(name)]))
      for (const waiting of this.#waiting.changed(freedOf(counter))) this.changed(waiting);
  }

  /** All Services are to be decided on again. */
  allChanged(): void {
    for (const { key } of this.#options.services.values()) this.changed(key);
  }

  /** There is no configuration at all, and this is why: Services that need an address get an event. */
  unconfigure(why: string): void {
    this.#configuring = undefined;
    this.#appeared.clear();
    this.#queue.resume();
    this.#state = { type: "unconfigured", why };
    for (const { key } of this.#options.services.values()) this.#queue.add(key);
  }

  /** Speakers report that other hosts of the network have these addresses, and no others (address -> who). */
  setOccupied(reported: ReadonlyMap<string, Occupant>): void {
    this.#reported = reported;
    if (this.#state.type === "configured") this.#heedOccupants();
  }

  /**
   * An address that a Service has had for longer stays with it, whatever is reported of it: a report needs no more than the token of one
   * speaker. Under `strict` the speakers probe an address when it is announced first, so that a report comes soon after it was assigned.
   */
  #heedOccupants(): void {
    const { allocator, log } = this.#options;
    const before = this.#occupants;
    this.#occupants = heedOccupants(this.#reported, before, (address, counts) => {
      const pool = allocator.poolOf(address);
      if (pool === undefined || !this.#strictPools.has(pool)) return false;
      return counts || allocator.holders(address).every((service) => this.#recent.has(service, address));
    });
    allocator.setOccupied(this.#occupants);
    for (const text of new Set(before.keys()).symmetricDifference(this.#occupants)) this.#fullnessChanged(text);
    for (const [text, by] of this.#occupants) {
      if (before.has(text)) continue;
      log.warn("another host uses an address of a pool, it is not assigned until it is free", {
        event: "addressOccupied",
        ip: text,
        by,
      });
      const address = parseAddress(text);
      for (const holder of address === undefined ? [] : allocator.holders(address)) this.changed(holder);
    }
    for (const text of before.keys()) {
      if (this.#occupants.has(text)) continue;
      log.info("address is free again", { event: "addressFree", ip: text });
      this.#freed(text);
    }
  }

  /** Others use the address, or do not any more. */
  #fullnessChanged(text: string): void {
    const address = parseAddress(text);
    const pool = address && this.#options.allocator.poolOf(address);
    if (pool !== undefined) this.#pools.changed(pool);
  }

  /** Others do not use the address any more. */
  #freed(text: string): void {
    const address = parseAddress(text);
    const pool = address && this.#options.allocator.poolOf(address);
    if (address === undefined || pool === undefined) return;
    for (const resource of freedResources(pool, address, this.#options.allocator))
      for (const waiting of this.#waiting.changed(resource)) this.changed(waiting);
  }

  /** What IPAMs say of their pools, and of no others. */
  setIpam(pools: readonly IpamPool[]): void {
    const { allocator } = this.#options;
    const before = this.#ipam;
    this.#ipam = pools;
    allocator.setIpam(pools);
    for (const pool of new Set([...before, ...pools].map((each) => each.pool))) this.#pools.changed(pool);
    for (const { pool, foreign, granted, exhausted } of before) {
      const now = pools.find((each) => each.pool === pool);
      for (const text of foreign.keys()) if (!now?.foreign.has(text)) this.#freed(text);
      for (const [text, service] of granted) if (now?.granted.get(text) !== service) this.changed(service);
      for (const family of families)
        if (exhausted.has(family) !== now?.exhausted.has(family))
          for (const waiting of this.#waiting.changed(freeInPool(pool, family))) this.changed(waiting);
    }
    const known = new Map(before.map((each) => [each.pool, each]));
    for (const { pool, granted } of pools)
      for (const [text, service] of granted) if (known.get(pool)?.granted.get(text) !== service) this.changed(service);
  }

  /** Addresses that are not given because another host has them -> who, in words. */
  get occupants(): ReadonlyMap<string, string> {
    return this.#occupants;
  }

  /** What is the case with a Service of type LoadBalancer. */
  verdictOn(service: Service): Dated<Millis> {
    return this.#verdicts.of(service, this.#options.allocator.held(service.key), this.#statuses.problemOf(service.key));
  }

  /** What is the case with each pool of the configuration in force, in its order. */
  *pools(): Iterable<PoolUsage & Dated<Millis>> {
    for (const usage of this.#options.allocator.usage()) yield Object.assign(usage, this.#pools.of(usage));
  }

  /** A Service appeared, changed or went. */
  serviceChanged(key: string, now: Service | undefined, before: Service | undefined): void {
    const held = this.#options.allocator.held(key)?.addresses ?? [];
    this.#statuses.seen(key, now, before, held.map(String));
    this.#measureWait(key, now);
    // Several come at once after the API was restored from a backup: what is decided on first must not take what others have on record.
    if (now !== undefined && recordedAddresses(now).some((address) => !held.some((other) => other.equals(address)))) {
      if (this.#configuring !== undefined) this.#appeared.add(key);
      else if (this.#state.type === "configured") this.#takeRecorded([key]);
    }
    this.changed(key);
  }

  /** All Services were listed again: a status that was written, and that is not there, is written once more. */
  relisted(): void {
    for (const key of this.#statuses.unseen) this.changed(key);
  }

  /** Services have on record what they do not hold. */
  #takeRecorded(keys: Iterable<string>): void {
    const { allocator, services } = this.#options;
    const had = takeRecorded(keys, { allocator, services, statuses: this.#statuses });
    for (const [key, held] of had) {
      if (isSameAllocation(held, allocator.held(key))) continue;
      this.#decide(key, services.get(key), held);
      this.changed(key);
    }
  }

  /** Without a status that is being replaced. */
  #current(key: string): Service | undefined {
    const service = this.#options.services.get(key);
    return service && this.#statuses.withoutReplaced(service);
  }

  /** A standby measures nothing, but knows since when a Service waits. */
  #measureWait(key: string, now: Service | undefined): void {
    const { clock, metrics } = this.#options;
    const since = this.#waitingSince.get(key);
    if (now !== undefined && isOurs(now) && now.ingress.length === 0) {
      if (since === undefined) this.#waitingSince.set(key, clock.now());
    } else if (since !== undefined) {
      this.#waitingSince.delete(key);
      if (now !== undefined && isOurs(now) && this.#state.type === "configured")
        metrics.allocation.observe((clock.now() - since) / 1000);
    }
  }

  /** A Service is to be decided on again. */
  changed(key: string): void {
    if (this.#state.type !== "idle" || this.#configuring !== undefined) this.#queue.add(key);
  }

  /** Stops deciding. Resolves when the writes under way have ended, or at `deadline`. */
  close(deadline: Millis): Promise<void> {
    this.#configuring = undefined;
    return this.#queue.close(deadline);
  }

  #work(key: string): Outcome | Promise<Outcome> {
    const { services, metrics, decided } = this.#options;
    metrics.updates.inc();
    const service = services.get(key);
    if (this.#state.type === "unconfigured") {
      const warning = service && missesConfiguration(service, this.#state.why);
      this.#verdicts.decided(key, service, warning?.verdict, false);
      this.#warn(key, service, service?.ingress.length === 0 ? warning : undefined);
      return "done";
    }
    const decision = this.#decide(key, service);
    const outcome = this.#statuses.put(key, service, decision.status);
    decided(key, decision.unmet); // Which may put another configuration in force.
    return outcome;
  }

  /** Its status is still to be written. */
  #decide(key: string, service: Service | undefined, held = this.#options.allocator.held(key)): Decision {
    const { allocator } = this.#options;
    const before: AllocationTerms = { ...(this.#terms.get(key) ?? termsOf(undefined, undefined, [])), allocation: held };
    const decision = allocator.decide(key, service && this.#statuses.withoutReplaced(service));
    this.#recordDecision(key, service, before.allocation, decision);
    const isNew = !isSameAllocation(before.allocation, decision.allocation);
    if (isNew) this.#allocationChanged(key, before.allocation, service);
    this.#verdicts.decided(key, service, (decision.warning ?? decision.kept)?.verdict, isNew);
    this.#wake(key, before, decision);
    this.#givenUp.look(key, service);
    return decision;
  }

  /** An address that is given up may be one that another host has. */
  #allocationChanged(key: string, before: Allocation | undefined, service: Service | undefined): void {
    const after = this.#options.allocator.held(key);
    const had = new Set(before?.addresses.map(String));
    // What is on record was given earlier, as by a backup that the API was restored from.
    for (const address of after?.addresses ?? [])
      if (!had.delete(`${address}`) && service?.ingress.includes(`${address}`) !== true) this.#recent.add(key, address);
    for (const address of had) this.#recent.delete(key, address);
    for (const pool of new Set([...(before?.pools ?? []), ...(after?.pools ?? [])])) this.#pools.changed(pool);
    if (before?.addresses.some((address) => this.#reported.has(address.toString()))) this.#heedOccupants();
  }

  #wake(key: string, before: AllocationTerms, { request, allocation, unmet }: Decision): void {
    const after = termsOf(allocation, request, this.#options.allocator.asked(key));
    if ((allocation !== undefined && after.sharingKey !== "") || after.asked !== "") this.#terms.set(key, after);
    else this.#terms.delete(key);
    const { allocator } = this.#options;
    const waits = request === undefined || unmet === undefined ? [] : waitsOf(request, unmet, allocator);
    const chances = request === undefined || waits.length === 0 ? "" : allocator.chancesOf(request);
    const next = [this.#waiting.set(key, chances, waits)];
    for (const resource of changedResources(key, before, after, allocator)) next.push(this.#waiting.changed(resource));
    for (const waiting of next.flatMap((those) => [...those])) if (waiting !== key) this.#queue.add(waiting);
  }

  /** Logs what changed, and records events about what is wrong. */
  #recordDecision(key: string, service: Service | undefined, had: Allocation | undefined, decision: Decision): void {
    const { allocation, noRight, lost, left, warning, kept } = decision;
    const log = this.#options.log.with({ service: key });
    if (!isSameAllocation(had, allocation)) {
      const reason = noRight ?? (lost !== undefined ? "notAllowed" : left !== undefined ? "otherPool" : "otherRequested");
      if (had !== undefined && noRight === "deleted")
        log.info("service deleted", { event: "serviceDeleted", ips: had.addresses });
      else if (had !== undefined) log.info("addresses released", { event: "clearAssignment", reason, ips: had.addresses });
      if (allocation !== undefined)
        log.info("addresses assigned", { event: "ipAllocated", ips: allocation.addresses, pool: poolsOf(allocation).join() });
    }
    const released = releasedBy(decision);
    if (released !== undefined && service !== undefined) {
      const { type, what, addresses, why, message } = released;
      log.warn(what, { event: "clearAssignment", ips: addresses, error: why });
      this.#options.events.record(serviceReference(service), type, "ClearAssignment", message);
    }
    this.#warn(key, service, warning);
    this.#keep(key, service, kept);
  }

  /** Says once of a Service that it would not be given now what it has. */
  #keep(key: string, service: Service | undefined, kept: Keeping | undefined): void {
    if (service === undefined || kept === undefined) {
      this.#kept.delete(key);
      return;
    }
    if (!isNews(this.#kept, service, kept.message)) return;
    const fields = { event: "addressNotAllowed", service: key, reason: kept.message };
    this.#options.log.info("service keeps what it would not be given", fields);
    this.#options.events.record(serviceReference(service), "Normal", "AddressNotAllowed", kept.message);
  }

  /** Logs a warning and records an event once, and again only after it has changed in between. */
  #warn(key: string, service: Service | undefined, warning: Warning | undefined): void {
    if (service === undefined || warning === undefined) {
      this.#warnings.delete(key);
      return;
    }
    if (!isNews(this.#warnings, service, warning.message)) return;
    const fields = { op: "allocateIPs", service: key, error: warning.message };
    this.#options.log.error("service does not get what it requests", fields);
    this.#options.events.record(serviceReference(service), "Warning", warning.reason, warning.message);
  }
}

/** Whether it is not what was `said` last of the Service. One that was deleted and made again is another one. */
function isNews(said: Map<string, string>, { key, uid }: Service, message: string): boolean {
  const last = `${uid} ${message}`;
  if (said.get(key) === last) return false;
  said.set(key, last);
  return true;
}

function missesConfiguration(service: Service, why: string): Warning | undefined {
  if (!isOurs(service)) return undefined;
  const message = `there is no configuration: ${why}`;
  return {
    reason: "AllocationFailed",
    message: `Failed to allocate IP for "${service.key}": ${message}`,
    verdict: verdict("service", "noConfiguration", { message }),
  };
}

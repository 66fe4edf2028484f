import { type Allocation, type Allocator, describe, type PoolUsage } from "#pkg/allocator";
import type { Clock, Millis, Portions, Random } from "#pkg/clock";
import type { Pool } from "#pkg/config";
import { type Cluster, type EventRecorder, type Informer, type Service, serviceReference } from "#pkg/k8s";
import type { Log } from "#pkg/log";
import { type Address, parseAddress } from "#pkg/net";
import type { Occupant } from "#pkg/quarantine";
import { isOurs, readRequest } from "#pkg/service";
import { type Dated, verdict } from "#pkg/verdict";
import { type Decision, decide, keep, quotedList, type Warning } from "./decide.ts";
import type { ControllerMetrics } from "./metrics.ts";
import { heedOccupants } from "./occupants.ts";
import { StatusWriter } from "./status-writer.ts";
import { PoolVerdicts } from "./verdicts/pool-verdicts.ts";
import { ServiceVerdicts } from "./verdicts/service-verdicts.ts";
import { WaitList } from "./wait-list.ts";
import { type AllocationTerms, changedResources, freedResources, isSameAllocation, termsOf, waitsOf } from "./waits.ts";
import { type Outcome, WorkQueue } from "./work-queue.ts";

export interface ServiceControllerOptions {
  readonly cluster: Pick<Cluster, "writeIngress">;
  readonly events: Pick<EventRecorder, "record">;
  /** Has seen every Service once. */
  readonly services: Pick<Informer<Service>, "get" | "values">;
  readonly allocator: Allocator;
  /** Called after each decision, which may have changed what the Service holds. */
  readonly decided: (service: string) => void;
  readonly metrics: Pick<ControllerMetrics, "updates" | "updateErrors" | "allocation" | "statusWrite">;
  /** What concerns all Services is done in them, for some hundred in each. */
  readonly portions: Pick<Portions, "do">;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
}

// From an assignment until speakers have seen it, probed the address and reported: some seconds.
const newMs: Millis = 30_000;

const servicesAtOnce = 500;

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
  readonly #assignedAt = new Map<string, Millis>(); // service -> when it was given what it holds; in order, without old ones
  #reported: ReadonlyMap<string, Occupant> = new Map(); // address -> the host of the network that has it, as speakers report
  #occupants: ReadonlyMap<string, string> = new Map(); // address -> the same in words, of those that count
  #strictPools: ReadonlySet<string> = new Set();
  readonly #waitingSince = new Map<string, Millis>(); // service without addresses -> when that was seen
  readonly #statuses: StatusWriter;
  #configuring: Iterator<undefined, void> | undefined; // The rest of the steps to other pools.
  readonly #verdicts: ServiceVerdicts;
  readonly #pools: PoolVerdicts;
  #state: { readonly type: "idle" | "configured" } | { readonly type: "unconfigured"; readonly why: string } = { type: "idle" };

  constructor(options: ServiceControllerOptions) {
    this.#options = options;
    const { clock, random } = options;
    this.#statuses = new StatusWriter(options);
    this.#verdicts = new ServiceVerdicts(clock);
    this.#pools = new PoolVerdicts(options.allocator, clock);
    this.#queue = new WorkQueue({ work: (key) => this.#work(key), concurrency: writesAtOnce, clock, random });
  }

  /**
   * Addresses may be given from these pools, once all Services have been looked at; until then none is decided on. An error is thrown then when
   * an address in use is in none of them, which is to be ruled out before.
   */
  configure(pools: readonly Pool[]): void {
    const { portions } = this.#options;
    const steps = this.#configure(pools);
    this.#configuring = steps;
    this.#queue.pause();
    const portion = (): void => {
      if (this.#configuring !== steps) return;
      if (steps.next().done) {
        this.#configuring = undefined;
        this.#queue.resume();
      } else portions.do(portion);
    };
    portions.do(portion);
  }

  /** A step for some hundred Services each. */
  *#configure(pools: readonly Pool[]): Generator<undefined, void> {
    const { allocator, services, log } = this.#options;
    let stranded = yield* allocator.replacePools(pools);
    if (stranded.length > 0) {
      // Services that are gone, but have not been decided on since, hold nothing any more.
      for (const { service, address } of stranded) {
        if (services.get(service) !== undefined || !allocator.release(service)) continue;
        log.info("service deleted", { event: "serviceDeleted", service, ips: [address] });
      }
      stranded = yield* allocator.replacePools(pools);
    }
    for (const { service, address } of stranded)
      throw new Error(`Cannot change pools: ${service} holds ${address}, which would be in none`);
    this.#strictPools = new Set(pools.filter(isStrict).map(({ name }) => name));
    const keys = Array.from(services.values(), ({ key }) => key).sort();
    let looked = 0;
    // What is on record is taken before anything new is given, in an order that is the same after every start. Services that share an address
    // come first: one of them that no longer allows it, since nobody looked, leaves it to the others.
    for (const shares of [true, false])
      for (const key of keys) {
        if (++looked % servicesAtOnce === 0) yield;
        const service = services.get(key);
        if (service === undefined) continue; // It has gone meanwhile.
        const read = readRequest(service);
        if (read.type === "notOurs" || (read.request.sharingKey !== "") !== shares) continue;
        keep(read.request, this.#statuses.withoutReplaced(service), allocator);
      }
    this.#state = { type: "configured" };
    this.#heedOccupants();
    for (const { key } of services.values()) {
      if (++looked % servicesAtOnce === 0) yield;
      this.#queue.add(key);
    }
  }

  /** There is no configuration at all, and this is why: Services that need an address get an event. */
  unconfigure(why: string): void {
    this.#configuring = undefined;
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
      return counts || allocator.holders(address).every((service) => this.#isNew(service));
    });
    allocator.setOccupied(this.#occupants);
    this.#pools.allChanged();
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
      const address = parseAddress(text);
      const pool = address && allocator.poolOf(address);
      if (address === undefined || pool === undefined) continue;
      for (const resource of freedResources(pool, address))
        for (const waiting of this.#waiting.changed(resource)) this.changed(waiting);
    }
  }

  #isNew(service: string): boolean {
    const since = this.#assignedAt.get(service);
    return since !== undefined && this.#options.clock.now() - since < newMs;
  }

  /** Keeps the instants of the last assignments alone. */
  #assigned(service: string): void {
    const now = this.#options.clock.now();
    this.#assignedAt.delete(service);
    this.#assignedAt.set(service, now);
    for (const [first, at] of this.#assignedAt) {
      if (now - at < newMs) break;
      this.#assignedAt.delete(first);
    }
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
    this.changed(key);
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
    const { services, allocator, metrics, decided } = this.#options;
    metrics.updates.inc();
    const service = services.get(key);
    if (this.#state.type === "unconfigured") {
      const warning = service && missesConfiguration(service, this.#state.why);
      this.#verdicts.decided(key, service, warning?.verdict, false);
      this.#warn(key, service, service?.ingress.length === 0 ? warning : undefined);
      return "done";
    }
    const before: AllocationTerms = {
      ...(this.#terms.get(key) ?? termsOf(undefined, undefined)),
      allocation: allocator.held(key),
    };
    const decision = decide(key, service && this.#statuses.withoutReplaced(service), allocator);
    this.#recordDecision(key, service, before.allocation, decision);
    const isNew = !isSameAllocation(before.allocation, decision.allocation);
    if (isNew) this.#allocationChanged(key, before.allocation);
    this.#verdicts.decided(key, service, decision.warning?.verdict, isNew);
    this.#wake(key, before, decision);
    const outcome = this.#statuses.put(key, service, decision.status);
    decided(key); // Which may put another configuration in force.
    return outcome;
  }

  /** An address that is given up may be one that another host has. */
  #allocationChanged(key: string, before: Allocation | undefined): void {
    const after = this.#options.allocator.held(key);
    if (after === undefined) this.#assignedAt.delete(key);
    else this.#assigned(key);
    for (const pool of new Set([before?.pool, after?.pool])) if (pool !== undefined) this.#pools.changed(pool);
    if (before?.addresses.some((address) => this.#reported.has(address.toString()))) this.#heedOccupants();
  }

  #wake(key: string, before: AllocationTerms, { request, allocation, unmet }: Decision): void {
    const after = termsOf(allocation, request);
    if (allocation !== undefined && after.sharingKey !== "") this.#terms.set(key, after);
    else this.#terms.delete(key);
    const next = this.#waiting.set(key, request === undefined || unmet === undefined ? [] : waitsOf(request, unmet));
    const isHeld = (address: Address) => this.#options.allocator.isHeld(address);
    for (const resource of changedResources(before, after, isHeld)) next.push(...this.#waiting.changed(resource));
    for (const waiting of next) if (waiting !== key) this.#queue.add(waiting);
  }

  /** Logs what changed, and records events about what is wrong. */
  #recordDecision(key: string, service: Service | undefined, had: Allocation | undefined, decision: Decision): void {
    const { allocation, noRight, lost, warning } = decision;
    const log = this.#options.log.with({ service: key });
    if (!isSameAllocation(had, allocation)) {
      const reason = noRight ?? (lost === undefined ? "otherRequested" : "notAllowed");
      if (had !== undefined && noRight === "deleted")
        log.info("service deleted", { event: "serviceDeleted", ips: had.addresses });
      else if (had !== undefined) log.info("addresses released", { event: "clearAssignment", reason, ips: had.addresses });
      if (allocation !== undefined)
        log.info("addresses assigned", { event: "ipAllocated", ips: allocation.addresses, pool: allocation.pool });
    }
    if (lost !== undefined && service !== undefined) {
      const error = describe(lost.refusal);
      log.warn("addresses are no longer allowed", { event: "clearAssignment", ips: lost.addresses, error });
      const message = `Released ${quotedList(lost.addresses)}: ${error}`;
      this.#options.events.record(serviceReference(service), "Warning", "ClearAssignment", message);
    }
    this.#warn(key, service, warning);
  }

  /** Logs a warning and records an event once, and again only after it has changed in between. */
  #warn(key: string, service: Service | undefined, warning: Warning | undefined): void {
    if (service === undefined || warning === undefined) {
      this.#warnings.delete(key);
      return;
    }
    const last = `${service.uid} ${warning.message}`; // One that was deleted and made again gets its own event.
    if (this.#warnings.get(key) === last) return;
    this.#warnings.set(key, last);
    this.#options.log.error("service does not get what it requests", {
      op: "allocateIPs",
      service: key,
      error: warning.message,
    });
    this.#options.events.record(serviceReference(service), "Warning", warning.reason, warning.message);
  }
}

function isStrict({ protocol, conflictProbe }: Pool): boolean {
  return protocol === "layer2" && conflictProbe === "strict";
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

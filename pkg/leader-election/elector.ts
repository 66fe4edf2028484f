import { Alarm, type Clock } from "#pkg/clock";
import { EventQueue } from "#pkg/collections";
import { ApiError, type Cluster, type ConfigMap, type Informer, type Lease as LeaseObject, resources } from "#pkg/k8s";
import type { Log } from "#pkg/log";
import {
  type Election,
  type ElectionEffect,
  type ElectionEvent,
  type ElectionTimings,
  type LeaseRecord,
  leads,
  mayWrite,
  nextDeadline,
  startElection,
  step,
} from "./protocol/election.ts";

export interface ElectorHandlers {
  /** This process leads from now on. */
  lead(): void;
  /** It no longer leads: its work for the group has to stop. */
  lost(reason: string): void;
}

export interface ElectorOptions {
  readonly cluster: Pick<Cluster, "informer"> & { readonly leases: Pick<Cluster["leases"], "read" | "write"> };
  readonly namespace: string;
  /** Name of the Lease. */
  readonly name: string;
  /** Name of a ConfigMap that each leader writes. Without it nobody has led yet, and no Lease was deleted. */
  readonly writtenByLeader: string;
  readonly identity: string;
  readonly timings: ElectionTimings;
  readonly log: Log;
  readonly clock: Clock;
}

/**
 * Takes part in one election. Where the API refuses the right to the Lease for long, this process leads alone, since a single replica under the
 * rights of an earlier version has to work; two of them would contest each other's writes. It goes on asking, and takes part again once it may.
 */
export class LeaderElector implements AsyncDisposable {
  readonly #options: ElectorOptions;
  readonly #queue: EventQueue<ElectionEvent>;
  readonly #alarm: Alarm;
  readonly #informer: Informer<LeaseObject>;
  readonly #written: Informer<ConfigMap>;
  #election: Election;
  #handlers: ElectorHandlers | undefined;
  #disposed = false;
  #failures = 0; // of requests, since the last that succeeded
  #lastLeader = ""; // as far as this process knew
  #asking: Promise<void> = Promise.resolve();

  constructor(options: ElectorOptions) {
    const { cluster, namespace, name, writtenByLeader, identity, timings, clock } = options;
    this.#options = options;
    this.#election = startElection(identity, timings, clock.now());
    this.#queue = new EventQueue<ElectionEvent>((event) => this.#step(event));
    this.#alarm = new Alarm(clock, "leader election", () => this.#queue.push({ type: "timer" }));
    this.#informer = cluster.informer(
      resources.leases,
      { namespace, fieldSelector: `metadata.name=${name}` },
      {
        changed: () => this.#observed(),
        synced: () => this.#observed(),
        reached: () => this.#reached(),
        forbidden: () => this.#queue.push({ type: "watch", isForbidden: true }),
      },
    );
    this.#written = cluster.informer(
      resources.configMaps,
      { namespace, fieldSelector: `metadata.name=${writtenByLeader}` },
      {
        changed: () => {},
        synced: () => {
          if (this.#written.get(`${namespace}/${writtenByLeader}`) === undefined) this.#queue.push({ type: "unused" });
          this.#written[Symbol.dispose]();
        },
      },
    );
  }

  start(handlers: ElectorHandlers): void {
    this.#election = { ...this.#election, begunAt: this.#options.clock.now() };
    this.#handlers = handlers;
    this.#informer.start();
    this.#written.start();
  }

  /** Whether this process works for the group. */
  get isLeader(): boolean {
    return leads(this.#election);
  }

  /**
   * Whether a write may begin now, by this process's own clock: one that stood still finds out before its timers do.
   */
  get mayWrite(): boolean {
    return mayWrite(this.#election, this.#options.clock.now());
  }

  /** The leader as far as this process knows; empty for nobody. */
  get leader(): string {
    const { role, identity, lease } = this.#election;
    return role === "alone" ? identity : (lease?.holder ?? "");
  }

  /** Gives back what is held, so that another one takes over at once. To be called when this process has stopped working. */
  async [Symbol.asyncDispose](): Promise<void> {
    // A renewal under way has the version that is to be given back, and a write may follow a read.
    for (let asking: unknown; asking !== this.#asking; await asking) asking = this.#asking;
    this.#disposed = true;
    this.#alarm[Symbol.dispose]();
    this.#informer[Symbol.dispose]();
    this.#written[Symbol.dispose]();
    this.#queue.push({ type: "stop" });
    await this.#asking;
  }

  #observed(): void {
    if (!this.#informer.synced) return;
    const { namespace, name } = this.#options;
    const lease = this.#informer.get(`${namespace}/${name}`);
    this.#queue.push({ type: "observed", lease });
  }

  #reached(): void {
    if (this.#informer.lostSince === undefined) this.#queue.push({ type: "watch", isForbidden: false });
  }

  #step(event: ElectionEvent): void {
    const { clock, log, name } = this.#options;
    if (event.type === "watch" && event.isForbidden && !this.#election.isUnwatched)
      log.warn("the Lease may not be watched: it is read now and then", { op: "leaderElection", lease: name });
    const [next, effects] = step(this.#election, event, clock.now());
    this.#election = next;
    for (const effect of effects) this.#carryOut(effect);
    this.#logLeader();
    if (!this.#disposed) this.#alarm.set(nextDeadline(this.#election));
  }

  #logLeader(): void {
    const { log, name, identity } = this.#options;
    const { leader } = this;
    if (leader === "" || leader === this.#lastLeader) return;
    this.#lastLeader = leader;
    if (leader !== identity) log.info("standing by", { event: "standingBy", lease: name, leader });
  }

  #carryOut(effect: ElectionEffect): void {
    const { log, name, identity } = this.#options;
    switch (effect.type) {
      case "read":
        this.#asking = this.#ask(() => this.#read());
        break;
      case "write":
        this.#asking = this.#ask(() => this.#write(effect.record, effect.resourceVersion));
        break;
      case "lead":
        if (effect.isAlone)
          log.warn("this controller may not use the Lease and works without it: run one replica, or grant the right", {
            event: "leaderElectionOff",
            lease: name,
          });
        else log.info("leading", { event: "leading", lease: name, identity });
        this.#handlers?.lead();
        break;
      case "elected":
        log.info("leading by the Lease again", { event: "leading", lease: name, identity });
        break;
      case "lost":
        log.warn("no longer leading", { event: "leadershipLost", lease: name, identity, reason: effect.reason });
        this.#handlers?.lost(effect.reason);
        break;
      default:
        effect satisfies never;
    }
  }

  async #ask(request: () => Promise<ElectionEvent>): Promise<void> {
    const { log, name } = this.#options;
    try {
      const answer = await request();
      if (this.#failures > 0)
        log.info("the Lease can be used again", { op: "leaderElection", lease: name, failures: this.#failures });
      this.#failures = 0;
      this.#queue.push(answer);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const again = { op: "leaderElection", lease: name, error };
      if (this.#failures++ === 0) log.warn("cannot use the Lease, trying again", again);
      else log.debug("cannot use the Lease, trying again", again);
      this.#queue.push({ type: error.status === 403 ? "forbidden" : "failed" });
    }
  }

  async #read(): Promise<ElectionEvent & { type: "read" }> {
    const { cluster, namespace, name, timings } = this.#options;
    return { type: "read", lease: await cluster.leases.read(namespace, name, timings.renewDeadlineMs) };
  }

  async #write(record: LeaseRecord, resourceVersion: string | undefined): Promise<ElectionEvent> {
    const { cluster, namespace, name, timings } = this.#options;
    const lease = await cluster.leases.write(namespace, name, record, resourceVersion, timings.renewDeadlineMs);
    if (lease !== "conflict") return { type: "written", lease };
    // Not to be left to the watch: after the API was restored from a backup it waits for versions of the future.
    const found = await this.#read().catch((error: unknown) => {
      if (!(error instanceof ApiError)) throw error;
    });
    return found === undefined ? { type: "conflict" } : { type: "conflict", found };
  }
}

import { Alarm, type Clock } from "#pkg/clock";
import { ApiError, type Cluster, type Informer, type Lease as LeaseObject, resources } from "#pkg/k8s";
import type { Log } from "#pkg/log";
import { EventQueue } from "#pkg/queue";
import {
  type Election,
  type ElectionEffect,
  type ElectionEvent,
  type ElectionTimings,
  type LeaseRecord,
  mayWrite,
  nextDeadline,
  startElection,
  step,
} from "./protocol/election.ts";

export interface ElectorHandlers {
  /** This process leads from now on. */
  lead(): void;
  /** It does not any more: whatever it does for the group has to stop. */
  lost(reason: string): void;
}

export interface ElectorOptions {
  readonly cluster: Pick<Cluster, "informer" | "readLease" | "writeLease">;
  readonly namespace: string;
  /** Of the Lease. */
  readonly name: string;
  readonly identity: string;
  readonly timings: ElectionTimings;
  readonly log: Log;
  readonly clock: Clock;
}

/**
 * Takes part in one election. Where the API refuses the right to the Lease, this process leads at once and for good, since a single
 * replica under the rights of an earlier version has to work; two of them would contest each other's writes.
 */
export class LeaderElector implements AsyncDisposable {
  readonly #options: ElectorOptions;
  readonly #queue: EventQueue<ElectionEvent>;
  readonly #alarm: Alarm;
  readonly #informer: Informer<LeaseObject>;
  #election: Election;
  #handlers: ElectorHandlers | undefined;
  #alone = false;
  #disposed = false;
  #failures = 0; // of writes, since the last that succeeded
  #writing: Promise<void> = Promise.resolve();

  constructor(options: ElectorOptions) {
    const { cluster, namespace, name, identity, timings, clock } = options;
    this.#options = options;
    this.#election = startElection(identity, timings);
    this.#queue = new EventQueue<ElectionEvent>((event) => this.#step(event));
    this.#alarm = new Alarm(clock, "leader election", () => this.#queue.push({ type: "timer" }));
    this.#informer = cluster.informer(
      resources.leases,
      { namespace, fieldSelector: `metadata.name=${name}` },
      { changed: () => this.#observed(), synced: () => this.#observed() },
    );
  }

  start(handlers: ElectorHandlers): void {
    this.#handlers = handlers;
    void this.#begin();
  }

  /** Whether this process works for the group. */
  get isLeader(): boolean {
    return this.#alone || this.#election.role === "leader";
  }

  /**
   * Whether a write may begin now, by this process's own clock: one that stood still finds out before its timers do.
   */
  get mayWrite(): boolean {
    return this.#alone || mayWrite(this.#election, this.#options.clock.now());
  }

  /** Who leads, as far as this process knows; empty for nobody. */
  get leader(): string {
    return this.#alone ? this.#options.identity : (this.#election.lease?.holder ?? "");
  }

  /** Gives back what is held, so that another one takes over at once. To be called when this process has stopped working. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing; // A renewal under way has the version that is to be given back.
    this.#disposed = true;
    this.#alarm[Symbol.dispose]();
    this.#informer[Symbol.dispose]();
    this.#queue.push({ type: "stop" });
    await this.#writing;
  }

  async #begin(): Promise<void> {
    const { cluster, namespace, name, log } = this.#options;
    try {
      await cluster.readLease(namespace, name);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (this.#disposed) return;
      if (error.status === 403) {
        this.#leadAlone(error);
        return;
      }
      log.warn("cannot read the Lease, trying again", { op: "leaderElection", lease: name, error });
    }
    if (this.#disposed) return;
    this.#informer.start();
  }

  #leadAlone(error: ApiError): void {
    if (this.#alone) return;
    const { name, log } = this.#options;
    this.#alone = true;
    this.#alarm[Symbol.dispose]();
    this.#informer[Symbol.dispose]();
    log.warn("this controller may not use the Lease and works without it: run one replica, or grant the right", {
      event: "leaderElectionOff",
      lease: name,
      error,
    });
    if (this.#election.role !== "leader") this.#handlers?.lead();
  }

  #observed(): void {
    if (!this.#informer.synced) return;
    const { namespace, name } = this.#options;
    const lease = this.#informer.get(`${namespace}/${name}`);
    this.#queue.push({ type: "observed", lease });
  }

  #step(event: ElectionEvent): void {
    if (this.#alone) return;
    const { clock } = this.#options;
    const [next, effects] = step(this.#election, event, clock.now());
    this.#election = next;
    for (const effect of effects) this.#carryOut(effect);
    if (!this.#disposed) this.#alarm.set(nextDeadline(this.#election));
  }

  #carryOut(effect: ElectionEffect): void {
    const { log, name, identity } = this.#options;
    switch (effect.type) {
      case "write":
        this.#writing = this.#write(effect.record, effect.resourceVersion);
        break;
      case "lead":
        log.info("leading", { event: "leading", lease: name, identity });
        this.#handlers?.lead();
        break;
      case "lost":
        log.warn("no longer leading", { event: "leadershipLost", lease: name, identity, reason: effect.reason });
        this.#handlers?.lost(effect.reason);
        break;
      default:
        effect satisfies never;
    }
  }

  async #write(record: LeaseRecord, resourceVersion: string | undefined): Promise<void> {
    const { cluster, namespace, name, timings, log } = this.#options;
    try {
      const result = await cluster.writeLease(namespace, name, record, resourceVersion, timings.renewDeadlineMs);
      if (this.#failures > 0)
        log.info("the Lease can be written again", { op: "leaderElection", lease: name, failures: this.#failures });
      this.#failures = 0;
      if (result !== "conflict") return this.#queue.push({ type: "written", lease: result });
      this.#queue.push({ type: "conflict" });
      // Not to be left to the watch: after the API was restored from a backup it waits for versions of the future.
      this.#queue.push({ type: "observed", lease: await cluster.readLease(namespace, name) });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 403) this.#leadAlone(error);
      else {
        const again = { op: "leaderElection", lease: name, error };
        if (this.#failures++ === 0) log.warn("cannot write the Lease, trying again", again);
        else log.debug("cannot write the Lease, trying again", again);
        this.#queue.push({ type: "failed" });
      }
    }
  }
}

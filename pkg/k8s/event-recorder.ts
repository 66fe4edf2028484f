import { type Clock, type Millis, sleep, wallClock } from "#pkg/clock";
import { Queue } from "#pkg/collections";
import type { Fields, Log } from "#pkg/log";
import { escapeControls, forNamespace, upTo } from "#pkg/text";
import type { Cluster } from "./cluster.ts";
import { ApiError } from "./errors.ts";
import { type CorrelatedEvent, EventCorrelator } from "./event-correlator.ts";
import { type ObjectReference, type Service, serviceReference } from "./objects.ts";

/** Every reason of an Event; `docs/operations.md` says what each means. Names are MetalLB's where it has such an event. */
export const eventReasons = [
  "IPAllocated",
  "AllocationFailed",
  "LoadBalancerFailed",
  "AddressPoolIgnored",
  "AdditionalAssignFailed",
  "AddressNotAllowed",
  "StatusOverwritten",
  "StatusUpdateFailed",
  "ClearAssignment",
  "nodeAssigned",
  "noNodeSelected",
  "nodeExcluded",
  "noInterface",
  "noKernelAccess",
  "notInSubnet",
  "addressConflict",
  "addressConflictEnded",
  "addressOccupied",
  "addressClaimed",
  "selfTestFailed",
  "notAnnounced",
  "announcedWithFault",
  "announcedAgain",
  "otherLoadBalancerClass",
  "noController",
  "apiViewOld",
  "nodeFault",
  "nodeFaultEnded",
  "kernelRestored",
  "ConfigLoaded",
  "ConfigStale",
  "ReservedAddressHeld",
  "ipamFailing",
  "recordedElsewhere",
] as const;
export type EventReason = (typeof eventReasons)[number];

/** Log lines and events that a pure core asks for. */
export type ReportEffect =
  | { readonly type: "log"; readonly level: keyof Omit<Log, "with">; readonly message: string; readonly fields: Fields }
  /** An event on a Service. */
  | ({ readonly type: "recordEvent"; readonly service: Service } & EventText);

export interface EventText {
  readonly kind: "Normal" | "Warning";
  readonly reason: EventReason;
  readonly message: string;
}

export interface EventRecorderOptions {
  /** Shown by kubectl as the source. */
  readonly component: string;
  /** Of controller and speakers. */
  readonly namespace: string;
  /** The node, where there is one for each. */
  readonly host?: string;
  readonly log: Log;
  readonly clock: Clock;
}

// Room for the first events of a whole cluster's Services; some megabytes.
const maxWaiting = 20_000;
const writesAtOnce = 8;
const maxMessageLength = 1024; // Limit of events.k8s.io, which serves these too.
const flushMs: Millis = 2_000;
// A quota, or the end of a namespace, refuses events of one namespace between those of others that are written.
const sayEveryMs: Millis = 60_000;

/**
 * Writes core/v1 Events in the background: nobody waits for them, they give way to all other calls, and when the API is away for
 * long or too many wait they are dropped, which the log says once: of the namespace with most of them. Namespaces take turns. Events of
 * one object keep their order; events of different objects need no order.
 */
export class EventRecorder implements AsyncDisposable {
  readonly #cluster: Cluster;
  readonly #options: EventRecorderOptions;
  readonly #correlator: EventCorrelator;
  readonly #queues = new Map<string, Queue<CorrelatedEvent>>(); // namespace -> its events that wait; the first is next
  readonly #behind = new Map<string, Queue<CorrelatedEvent>>(); // object of which one is being written -> those that are to follow it
  #waiting = 0;
  #writers = 0;
  #idle: (() => void) | undefined;
  #dropped = 0; // since the log last said that events are written again
  #isDropping = false; // as the log says
  #sayAt: Millis = -Infinity; // From when on the log may say it again.
  #closed = false;
  #abandoned = false;

  constructor(cluster: Cluster, options: EventRecorderOptions) {
    this.#cluster = cluster;
    this.#options = options;
    this.#correlator = new EventCorrelator(`${options.component} ${options.host} ${wallClock().getTime()}`); // A node may have two speakers.
  }

  /** Never blocks, never throws. */
  record(about: ObjectReference, type: "Normal" | "Warning", reason: EventReason, message: string): void {
    if (this.#closed) return;
    const { clock, namespace } = this.#options;
    const shown = upTo(escapeControls(upTo(forNamespace(message, namespace), maxMessageLength)), maxMessageLength);
    const event = this.#correlator.correlate({ about, type, reason, message: shown, at: clock.now(), date: wallClock() });
    if (event !== undefined) this.#enqueue(event);
  }

  /** Writes what waits, for at most 2 s. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    const written = new AbortController();
    this.#idle = () => written.abort();
    if (this.#writers === 0) written.abort();
    await sleep(this.#options.clock, "event flush", flushMs, written.signal);
    this.#abandoned = true;
  }

  #enqueue(event: CorrelatedEvent): void {
    const { namespace } = event.about;
    const queue = this.#queues.get(namespace) ?? new Queue();
    this.#queues.set(namespace, queue);
    queue.push(event);
    if (++this.#waiting > maxWaiting) this.#dropOfLongest();
    if (this.#writers < writesAtOnce) void this.#writeWaiting();
  }

  #dropOfLongest(): void {
    const longest = this.#queues.values().reduce((a, b) => (a.size >= b.size ? a : b));
    longest.shift();
    this.#waiting--;
    this.#drop(`${maxWaiting} events are waiting`);
  }

  /** The next event of the namespace whose turn it is. */
  #next(): CorrelatedEvent | undefined {
    for (const [namespace, queue] of this.#queues) {
      this.#queues.delete(namespace);
      const event = queue.shift();
      if (queue.size > 0) this.#queues.set(namespace, queue); // Behind the others.
      if (event !== undefined) return event;
    }
    return undefined;
  }

  async #writeWaiting(): Promise<void> {
    this.#writers++;
    for (let event = this.#next(); event !== undefined; event = this.#next()) {
      const { uid } = event.about;
      const behind = this.#behind.get(uid);
      if (behind === undefined) await this.#writeAllOf(uid, event);
      else behind.push(event);
    }
    this.#writers--;
    if (this.#writers === 0) this.#idle?.();
  }

  /** The event, and those of its object that come meanwhile. */
  async #writeAllOf(uid: string, event: CorrelatedEvent): Promise<void> {
    const behind = new Queue<CorrelatedEvent>();
    this.#behind.set(uid, behind);
    for (let next: CorrelatedEvent | undefined = event; next !== undefined; next = behind.shift()) {
      this.#waiting--;
      if (!this.#abandoned) await this.#write(next);
    }
    this.#behind.delete(uid);
  }

  async #write(event: CorrelatedEvent): Promise<void> {
    const namespace = event.about.namespace || "default"; // Where Kubernetes keeps the events of objects without one.
    const change = { count: event.count, message: event.message, lastTimestamp: event.last.toISOString() };
    try {
      // The server forgets events after an hour, then the next one is a new one.
      const updated = event.count > 1 && (await this.#cluster.patchEvent(namespace, event.name, change));
      if (!updated) await this.#cluster.createEvent(namespace, this.#body(event, namespace));
      if (!this.#isDropping) return;
      this.#options.log.info("events are written again", { dropped: this.#dropped });
      this.#isDropping = false;
      this.#dropped = 0;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#drop(error);
    }
  }

  #drop(error: unknown): void {
    const { clock, log } = this.#options;
    this.#dropped++;
    if (this.#isDropping || clock.now() < this.#sayAt) return;
    this.#isDropping = true;
    this.#sayAt = clock.now() + sayEveryMs;
    log.warn("events are dropped", { error });
  }

  #body(event: CorrelatedEvent, namespace: string): Record<string, unknown> {
    const { component, host } = this.#options;
    return {
      metadata: { name: event.name, namespace },
      involvedObject: event.about,
      type: event.type,
      reason: event.reason,
      message: event.message,
      count: event.count,
      firstTimestamp: event.first.toISOString(),
      lastTimestamp: event.last.toISOString(),
      source: { component, ...(host !== undefined && { host }) },
      reportingComponent: component,
      reportingInstance: host ?? "",
    };
  }
}

export function report(effect: ReportEffect, events: Pick<EventRecorder, "record">, log: Log): void {
  if (effect.type === "log") log[effect.level](effect.message, effect.fields);
  else events.record(serviceReference(effect.service), effect.kind, effect.reason, effect.message);
}

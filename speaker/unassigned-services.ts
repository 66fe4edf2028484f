import { Alarm, type Clock, type Millis } from "#pkg/clock";
import { ApiError, type Cluster, type EventRecorder, type Lease, serviceReference } from "#pkg/k8s";
import type { SpeakerView } from "./core/index.ts";

export interface UnassignedServicesOptions {
  readonly view: Pick<SpeakerView, "unassigned">;
  readonly cluster: { readonly leases: Pick<Cluster["leases"], "read"> };
  readonly namespace: string;
  /** Name of the controllers' Lease. */
  readonly lease: string;
  readonly events: Pick<EventRecorder, "record">;
  readonly clock: Clock;
}

/** The Lease as it was read last, and since when it has been so. */
interface SeenLease {
  readonly lease: Lease;
  readonly since: Millis;
}

interface Waiting {
  readonly since: Millis;
  isTold: boolean;
}

const lookEveryMs: Millis = 10_000;
// Longer than a rollout of the controller, or a change of the leader, leaves a Service without an address.
const waitingMs: Millis = 30_000;
const readMs: Millis = 5_000;
// A common fault is not told of in thousands of Events.
const maxTold = 500;

/**
 * Records an Event on each Service that waits for an address while no controller works: nobody else would. One speaker does this, once for a
 * Service; the controller's Event `IPAllocated` is the end. The Lease says whether a controller works. Where it does not exist, or may not be
 * read, or the controllers' Lease has another name, nothing is said. A Lease that is there from before `--leader-elect=false` is nobody's, and has to be deleted.
 */
export class UnassignedServices implements Disposable {
  readonly #options: UnassignedServicesOptions;
  readonly #alarm: Alarm;
  readonly #waiting = new Map<string, Waiting>(); // uid of a Service
  #read: SeenLease | undefined; // A read that fails begins anew.
  #isDisposed = false;

  constructor(options: UnassignedServicesOptions) {
    this.#options = options;
    this.#alarm = new Alarm(options.clock, "unassigned Services", () => void this.#look());
  }

  start(): void {
    this.#alarm.set(this.#options.clock.now() + lookEveryMs);
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#alarm[Symbol.dispose]();
  }

  async #look(): Promise<void> {
    const { view, clock } = this.#options;
    const before = new Map(this.#waiting);
    this.#waiting.clear();
    for (const { uid } of view.unassigned) this.#waiting.set(uid, before.get(uid) ?? { since: clock.now(), isTold: false });
    this.#read = this.#waiting.size > 0 ? await this.#readLease() : undefined;
    if (this.#isDisposed) return;
    if (this.#isIdle) this.#tell();
    this.#alarm.set(clock.now() + lookEveryMs);
  }

  async #readLease(): Promise<SeenLease | undefined> {
    const { cluster, namespace, lease: name, clock } = this.#options;
    try {
      const lease = await cluster.leases.read(namespace, name, readMs);
      if (lease?.resourceVersion === this.#read?.lease.resourceVersion) return this.#read;
      return lease && { lease, since: clock.now() };
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return undefined;
    }
  }

  /** Nobody has renewed the Lease for longer than a standby waits. */
  get #isIdle(): boolean {
    if (this.#read === undefined) return false;
    const { lease, since } = this.#read;
    return this.#options.clock.now() - since >= Math.max(waitingMs, 2_000 * lease.durationSeconds);
  }

  #tell(): void {
    const { view, namespace, lease, events, clock } = this.#options;
    let told = this.#waiting.values().reduce((sum, { isTold }) => sum + Number(isTold), 0);
    const scale = `kubectl -n ${namespace} scale deployment NAME --replicas=1`;
    const unused = `kubectl -n ${namespace} delete lease ${lease}`;
    const message = `no controller of Ingot works, which would give the Service an address: nobody renews Lease ${namespace}/${lease}; ingotctl doctor names the cause; ${scale} where the controller's Deployment asks for 0; ${unused} where the controller runs with --leader-elect=false`;
    for (const service of view.unassigned) {
      const one = this.#waiting.get(service.uid);
      if (one === undefined || one.isTold || clock.now() - one.since < waitingMs) continue;
      if (told++ >= maxTold) return;
      one.isTold = true;
      events.record(serviceReference(service), "Warning", "noController", message);
    }
  }
}

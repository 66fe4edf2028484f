import { RecordedAllocator } from "#pkg/assignment";
import { Cluster } from "#pkg/k8s/testing";
import { LeaderElector } from "#pkg/leader-election";
import { silentLog } from "#pkg/log";
import { Registry } from "#pkg/metrics";
import { classlessOnly } from "#pkg/service";
import { Controller } from "../../../controller/controller.ts";
import { createMetrics } from "../../../controller/metrics.ts";
import { Terms } from "../../../controller/terms.ts";
import type { ApiConnection } from "./api-connection.ts";
import { namespace } from "./objects.ts";
import type { SimulatedProcess } from "./simulated-process.ts";

const leaseMs = 4_000;

/** A controller as `controller/main.ts` builds it, without its HTTP port and the ring's Secret. */
export class ControllerProcess {
  readonly process: SimulatedProcess;
  readonly connection: ApiConnection;
  readonly #elector: LeaderElector;
  readonly #terms: Terms;

  constructor(process: SimulatedProcess, connection: ApiConnection, record: (line: string) => void) {
    this.process = process;
    this.connection = connection;
    const { clock, random } = process;
    const cluster = new Cluster({ [Symbol.dispose]: () => {} }, connection, { log: silentLog, clock, random });
    const events = {
      record: (about: { namespace: string; name: string }, _type: string, reason: string, message: string) =>
        process.isRunning && record(`${process.name}: ${about.namespace}/${about.name}: ${reason}: ${message}`),
    };
    const allocator = new RecordedAllocator();
    this.#elector = new LeaderElector({
      cluster,
      namespace,
      name: "controller",
      identity: `${process.name}_${Math.floor(random() * 2 ** 32).toString(16)}`, // Another one in each life.
      timings: { leaseMs, renewDeadlineMs: leaseMs * 0.75, retryMs: leaseMs / 4 },
      log: silentLog,
      clock,
    });
    const metrics = createMetrics(new Registry(), allocator, this.#elector);
    const mayWrite = () => this.#elector.mayWrite;
    const fenced = { informer: cluster.informer.bind(cluster), ...cluster.fenced(mayWrite) };
    const common = { events, namespace, allocator, metrics, log: silentLog, clock, random, classes: classlessOnly };
    this.#terms = new Terms(
      () => new Controller({ ...common, cluster: fenced, mayWrite, configMap: "config" }),
      allocator,
      silentLog,
    );
    this.#terms.start();
    this.#elector.start(this.#terms);
  }

  get isLeader(): boolean {
    return this.process.isRunning && this.#elector.isLeader;
  }

  /** Whether it would begin a write now. */
  get mayWrite(): boolean {
    return this.process.isRunning && !this.process.isStalled && this.#elector.mayWrite;
  }

  /** Ends as on SIGTERM: the Lease is given back. */
  stop(): void {
    void this.#elector[Symbol.asyncDispose]().then(() => this.#terms[Symbol.asyncDispose]());
  }
}

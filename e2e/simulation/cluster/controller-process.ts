import { Recorder } from "#pkg/core";
import type { Routes } from "#pkg/http";
import { Cluster } from "#pkg/k8s/testing";
import { LeaderElector } from "#pkg/leader-election";
import { summaryConfigMap } from "#pkg/live-config";
import { silentLog } from "#pkg/log/testing";
import { Registry } from "#pkg/metrics";
import { classlessOnly } from "#pkg/service";
import { controllerApi } from "../../../controller/api.ts";
import { Controller } from "../../../controller/controller.ts";
import { ControllerMetrics } from "../../../controller/metrics.ts";
import { Terms } from "../../../controller/terms.ts";
import type { ApiConnection } from "./api/api-connection.ts";
import { namespace } from "./api/objects.ts";
import type { ConfigSource } from "./history.ts";
import type { SimulatedProcess } from "./simulated-process.ts";

const leaseMs = 4_000;

/** A controller as `controller/main.ts` builds it, without its HTTP port and the ring's Secret. */
export class ControllerProcess {
  readonly process: SimulatedProcess;
  readonly connection: ApiConnection;
  readonly #elector: LeaderElector;
  readonly #terms: Terms;
  /** Its name in the Lease. */
  readonly identity: string;
  readonly #recorder = new Recorder();
  #isStopping = false;
  #hasStopped = false;

  constructor(
    process: SimulatedProcess,
    connection: ApiConnection,
    configSource: ConfigSource = "configmap",
    record: (line: string) => void,
  ) {
    this.process = process;
    this.connection = connection;
    const { clock, random } = process;
    const cluster = new Cluster({ [Symbol.dispose]: () => {} }, connection, { log: silentLog, clock, random });
    const events = {
      record: (about: { namespace: string; name: string }, type: string, reason: string, message: string) =>
        process.isRunning && record(`${process.name}: ${about.namespace}/${about.name}: ${type} ${reason}: ${message}`),
    };
    this.identity = `${process.name}_${Math.floor(random() * 2 ** 32).toString(16)}`; // Another one in each life.
    this.#elector = new LeaderElector({
      cluster,
      namespace,
      name: "controller",
      writtenByLeader: summaryConfigMap,
      identity: this.identity,
      timings: { leaseMs, renewDeadlineMs: leaseMs * 0.75, retryMs: leaseMs / 4 },
      log: silentLog,
      clock,
    });
    const metrics = new ControllerMetrics(new Registry());
    const elector = this.#elector;
    const reads = { informer: cluster.informer.bind(cluster), servedResources: cluster.servedResources.bind(cluster) };
    const fenced = { ...reads, ...cluster.fenced(() => elector.mayWrite) };
    const coreOptions = {
      seed: Math.trunc(random() * 2 ** 32),
      configMap: `${namespace}/config`,
      hasConditions: true,
      hasPoolAnnotations: false,
    };
    const recorder = this.#recorder;
    const common = { events, namespace, coreOptions, recorder, metrics, log: silentLog, clock, random, classes: classlessOnly };
    this.#terms = new Terms(
      (restored) => new Controller({ ...common, restored, cluster: fenced, elector, configMap: "config", configSource }),
      silentLog,
    );
    this.#terms.start();
    this.#elector.start(this.#terms);
  }

  /** Its answers under `/v1`. */
  get routes(): Routes {
    return controllerApi({ terms: this.#terms, recorder: this.#recorder, clock: this.process.clock });
  }

  get isLeader(): boolean {
    return this.process.isRunning && this.#elector.isLeader;
  }

  /** Whether it would begin a write now. */
  get mayWrite(): boolean {
    return this.process.isRunning && !this.process.isStalled && this.#elector.mayWrite;
  }

  get isStopping(): boolean {
    return this.#isStopping;
  }

  /** Whether it has ended in order, and was not killed before. */
  get hasStopped(): boolean {
    return this.#hasStopped;
  }

  /** Ends as on SIGTERM: what it is about to write is written, then the Lease is given back. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#terms[Symbol.asyncDispose]();
    await this.#elector[Symbol.asyncDispose]();
    this.#hasStopped = this.process.isRunning;
    this.process.kill();
  }
}

import { setImmediate } from "node:timers/promises";
import { SimulatedClock, seededRandom } from "#pkg/clock/testing";
import { Recorder } from "#pkg/core";
import type { Service } from "#pkg/k8s";
import { configMap, FakeCluster, service } from "#pkg/k8s/testing";
import { configKey, lastGoodKey, statusConfigMap } from "#pkg/live-config";
import type { Log } from "#pkg/log";
import { silentLog } from "#pkg/log/testing";
import { Registry } from "#pkg/metrics";
import { encodeQuarantine, quarantineConfigMap } from "#pkg/quarantine";
import { classlessOnly } from "#pkg/service";
import { Controller, type ControllerOptions } from "../controller.ts";
import { ControllerMetrics, registerUsage } from "../metrics.ts";
import { summaryKeys } from "../status/summary.ts";

export const namespace = "metallb-system";
export const coreOptions = { seed: 1, configMap: `${namespace}/config`, hasConditions: false, hasPoolAnnotations: false };

export type ServiceSpec = Partial<Omit<Service, "key" | "namespace" | "name">>;

/** A layer-2 configuration from `NAME FIRST-LAST…` for each pool. */
export function configText(...pools: string[]): string {
  const entries = pools.map((pool) => {
    const [name, ...ranges] = pool.split(" ");
    return `- name: ${name}\n  protocol: layer2\n  addresses:\n${ranges.map((range) => `  - ${range}\n`).join("")}`;
  });
  return `address-pools:\n${entries.join("")}`;
}

/** A cluster with one controller at work in it. */
export class World {
  readonly cluster = new FakeCluster();
  readonly clock = new SimulatedClock();
  registry = new Registry();
  /** What this process recorded. */
  recorder = new Recorder();
  controller: Controller;
  readonly #isStandby: boolean;
  readonly #log: Log;
  readonly #hasConditions: boolean;
  readonly #hasPoolAnnotations: boolean;
  readonly #statusObject: Pick<ControllerOptions, "statusObject">;

  /** @param options.isStandby its controllers do not lead */
  constructor({
    isStandby = false,
    hasConditions = false,
    hasPoolAnnotations = false,
    log = silentLog,
    statusObject = {} as Pick<ControllerOptions, "statusObject">,
  } = {}) {
    this.#statusObject = statusObject;
    this.#isStandby = isStandby;
    this.#log = log;
    this.#hasConditions = hasConditions;
    this.#hasPoolAnnotations = hasPoolAnnotations;
    this.controller = this.#createAsSaid();
  }

  /** The ConfigMap as it is from now on; undefined deletes it. */
  config(text: string | undefined, annotations: Readonly<Record<string, string>> = {}): void {
    if (text === undefined) this.cluster.remove("configmaps", `${namespace}/config`);
    else this.cluster.put("configmaps", configMap(`${namespace}/config`, { [configKey]: text }, annotations));
  }

  lastGood(text: string): void {
    this.cluster.put("configmaps", configMap(`${namespace}/${statusConfigMap}`, { [lastGoodKey]: text }));
  }

  /** Other hosts of the network have these addresses, and no others, as node1 reports. */
  occupied(...addresses: string[]): void {
    this.occupiedBy(() => "node1", ...addresses);
  }

  /** @param nodeOf the node that reports the address with this index */
  occupiedBy(nodeOf: (index: number) => string, ...addresses: string[]): void {
    const occupant = { mac: "02:00:00:00:00:42", interface: "eth0", since: "" };
    const entry = (address: string, i: number) => [address, encodeQuarantine({ ...occupant, node: nodeOf(i) })];
    const data = Object.fromEntries(addresses.map(entry));
    this.cluster.put("configmaps", configMap(`${namespace}/${quarantineConfigMap}`, data));
  }

  service(name: string, spec: ServiceSpec = {}): void {
    this.cluster.put("services", service(name, spec));
  }

  /** Changes some fields of a Service as its owner would. */
  change(name: string, spec: ServiceSpec): void {
    const before = this.cluster.service(`default/${name}`);
    if (before === undefined) throw new Error(`Cannot change service ${name}: there is none`);
    this.cluster.put("services", { ...before, ...spec });
  }

  delete(name: string): void {
    this.cluster.remove("services", `default/${name}`);
  }

  /** The status of each Service that has been asked for. */
  addresses(...names: string[]): string[] {
    return names.map((name) => `${name}=${this.cluster.service(`default/${name}`)?.ingress.join("+") ?? "gone"}`);
  }

  /**
   * Lets everything happen that happens without time passing.
   * @returns what was written and recorded since the last time, but for summaries of the status
   */
  async settle(): Promise<string[]> {
    do {
      this.cluster.deliver();
      this.clock.advanceBy(0);
      await setImmediate();
      this.cluster.deliver();
    } while (this.cluster.busy || this.clock.pending().includes("work queue"));
    const lines = this.cluster.transcript.splice(0).filter((line) => !line.endsWith(`written ${summaryKeys.join(", ")}`));
    return lines.map((line) => line.replace(/: written .*/, ": written"));
  }

  /** The process ends and another one starts; all that it knew is lost. */
  async restart(): Promise<void> {
    await this.controller[Symbol.asyncDispose]();
    this.registry = new Registry();
    this.recorder = new Recorder();
    this.controller = this.#createAsSaid();
    this.controller.start();
  }

  /** Another controller has the Lease, as when somebody deleted it: one that has seen all, and knows nothing of what this one decided. */
  async handOver(): Promise<void> {
    const before = this.controller;
    this.registry = new Registry();
    this.recorder = new Recorder();
    this.controller = this.#create(this.recorder, this.registry);
    this.controller.start();
    this.cluster.deliver();
    await before[Symbol.asyncDispose]();
    this.controller.lead();
  }

  /** Another controller in the cluster, which stands by, and sees what is there now. */
  startStandby(): Controller {
    const standby = this.#create(new Recorder(), new Registry());
    standby.start();
    this.cluster.deliver();
    return standby;
  }

  /** See `ControllerView.statuses`. */
  statuses(only?: string): ReturnType<Controller["view"]["statuses"]> {
    return this.controller.view.statuses(only, this.clock.now());
  }

  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number | undefined> {
    const values = (await this.registry.getSingleMetric(name)?.get())?.values ?? [];
    return values.find((value) => Object.entries(labels).every(([label, text]) => value.labels[label] === text))?.value;
  }

  #createAsSaid(): Controller {
    const controller = this.#create(this.recorder, this.registry);
    if (!this.#isStandby) controller.lead();
    return controller;
  }

  #create(recorder: Recorder, registry: Registry): Controller {
    const controller = new Controller({
      cluster: this.cluster,
      ...this.#statusObject,
      elector: { mayWrite: true },
      events: this.cluster,
      namespace,
      configMap: "config",
      configSource: "configmap",
      classes: classlessOnly,
      restored: () => void this.restart(),
      coreOptions: { ...coreOptions, hasConditions: this.#hasConditions, hasPoolAnnotations: this.#hasPoolAnnotations },
      recorder,
      metrics: new ControllerMetrics(registry),
      log: this.#log,
      clock: this.clock,
      random: seededRandom(1),
    });
    registerUsage(registry, { controller }, { isLeader: true }, this.clock);
    return controller;
  }
}

/** A controller that has started with this configuration, if any, and settled with these Services. */
export async function startWorld(
  config: string | undefined,
  services: Readonly<Record<string, ServiceSpec>> = {},
): Promise<World> {
  const world = new World();
  if (config !== undefined) world.config(config);
  for (const [name, spec] of Object.entries(services)) world.service(name, spec);
  world.controller.start();
  await world.settle();
  return world;
}

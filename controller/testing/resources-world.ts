import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { SimulatedClock, seededRandom } from "#pkg/clock/testing";
import { configurationKinds } from "#pkg/convert";
import { Recorder } from "#pkg/core";
import type { ObjectMeta } from "#pkg/k8s";
import { FakeCluster, service } from "#pkg/k8s/testing";
import { statusConfigMap } from "#pkg/live-config";
import { silentLog } from "#pkg/log/testing";
import { Registry } from "#pkg/metrics";
import { classlessOnly } from "#pkg/service";
import { Controller, sourceName } from "../controller.ts";
import { ControllerMetrics } from "../metrics.ts";

export const namespace = "metallb-system";
type Source = "configmap" | "crds";

/** A controller whose configuration is custom resources, with a Service in the cluster. */
export class ResourcesWorld implements AsyncDisposable {
  readonly cluster = new FakeCluster();
  readonly clock = new SimulatedClock();
  controller: Controller;

  constructor(isInstalled = true, source: Source = "crds") {
    if (isInstalled) this.install();
    this.cluster.put("services", service("web"));
    this.controller = this.#start(source);
  }

  install(): void {
    for (const { plural, versions } of configurationKinds) this.cluster.served.set(plural, versions);
  }

  see(plural: string, name: string, spec: object, more: object = {}): void {
    const informer = this.#informer(plural);
    const meta: ObjectMeta = { key: `${namespace}/${name}`, namespace, name, uid: name, resourceVersion: "1" };
    informer.see(informer.resource.project({ metadata: { ...meta, ...more }, spec }, meta));
  }

  forget(plural: string, name: string): void {
    this.#informer(plural).forget(`${namespace}/${name}`);
  }

  sync(): void {
    for (const { plural } of configurationKinds) if (this.unsynced.includes(plural)) this.#informer(plural).sync();
  }

  /** Lets all happen that happens within some time. @returns what was written and recorded */
  settle(): Promise<string[]> {
    return this.pass(4_000);
  }

  /** As `settle`. With 0 for `ms`, work that was begun may stay half done. */
  async pass(ms: number): Promise<string[]> {
    for (let step = 0; step < Math.max(1, ms / 50); step++) {
      const others = this.cluster.informers.filter(
        ({ resource }) => !configurationKinds.some(({ plural }) => plural === resource.plural),
      );
      this.cluster.deliver(others);
      await setImmediate();
      this.clock.advanceBy(Math.min(50, ms));
      await setImmediate();
      while (ms > 0 && this.#isAtWork) {
        // A thread's answer comes at any moment: what follows from it takes none of this clock's time.
        this.clock.advanceBy(0);
        this.cluster.deliver(others);
        await setImmediate();
      }
    }
    return this.cluster.transcript.splice(0).filter((line) => !line.includes(": written") && !/ingot\.dev\/A/.test(line));
  }

  get lastGood(): string | undefined {
    return this.cluster.configMap(`${namespace}/${statusConfigMap}`)?.data["last-good-config"];
  }

  /** Kinds that a controller lists now. */
  get unsynced(): readonly string[] {
    const open = this.cluster.informers.filter(({ started, disposed, synced }) => started && !disposed && !synced);
    return open.map(({ resource }) => resource.plural);
  }

  follows(plural: string): boolean {
    return this.cluster.informers.some(({ resource, started, disposed }) => resource.plural === plural && started && !disposed);
  }

  async stop(): Promise<void> {
    await this.controller[Symbol.asyncDispose]();
  }

  async restart(source: Source = "crds"): Promise<void> {
    await this.controller[Symbol.asyncDispose]();
    this.controller = this.#start(source);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.controller[Symbol.asyncDispose]();
  }

  get #isAtWork(): boolean {
    const pending = this.clock.pending();
    return this.cluster.busy || ["work queue", "next portions"].some((name) => pending.includes(name));
  }

  #informer(plural: string) {
    const found = this.cluster.informers.find(
      ({ resource, started, disposed }) => resource.plural === plural && started && !disposed,
    );
    assert.ok(found, `nobody follows ${plural}`);
    return found;
  }

  #start(configSource: Source): Controller {
    const source = { namespace, configMap: "config", configSource } as const;
    const controller = new Controller({
      ...source,
      cluster: this.cluster,
      elector: { mayWrite: true },
      events: this.cluster,
      classes: classlessOnly,
      restored: () => {},
      coreOptions: { seed: 1, configMap: sourceName(source), hasConditions: true, hasPoolAnnotations: false },
      recorder: new Recorder(),
      metrics: new ControllerMetrics(new Registry()),
      log: silentLog,
      clock: this.clock,
      random: seededRandom(1),
    });
    controller.start();
    controller.lead();
    return controller;
  }
}

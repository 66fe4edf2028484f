import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { seededRandom } from "#pkg/clock";
import { SimulatedClock } from "#pkg/clock/testing";
import { configurationKinds, parseConfiguration } from "#pkg/convert";
import { Recorder } from "#pkg/core";
import type { ObjectMeta } from "#pkg/k8s";
import { FakeCluster, service } from "#pkg/k8s/testing";
import { statusConfigMap } from "#pkg/live-config";
import { silentLog } from "#pkg/log/testing";
import { Registry } from "#pkg/metrics";
import { classlessOnly } from "#pkg/service";
import { Controller } from "./controller.ts";
import { ControllerMetrics } from "./metrics.ts";

const namespace = "metallb-system";

/** A controller whose configuration is custom resources, with a Service in the cluster. */
class World implements AsyncDisposable {
  readonly cluster = new FakeCluster();
  readonly clock = new SimulatedClock();
  controller: Controller;

  constructor(isInstalled = true) {
    if (isInstalled) this.install();
    this.cluster.put("services", service("web"));
    this.controller = this.#start();
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
    for (const { plural } of configurationKinds) this.#informer(plural).sync();
  }

  /** Lets all happen that happens within some seconds. @returns what was written and recorded */
  async settle(): Promise<string[]> {
    for (let step = 0; step < 80; step++) {
      const others = this.cluster.informers.filter(
        ({ resource }) => !configurationKinds.some(({ plural }) => plural === resource.plural),
      );
      this.cluster.deliver(others);
      await setImmediate();
      this.clock.advanceBy(50);
      await setImmediate();
    }
    return this.cluster.transcript.splice(0).filter((line) => !line.includes(": written"));
  }

  get lastGood(): string | undefined {
    return this.cluster.configMap(`${namespace}/${statusConfigMap}`)?.data["last-good-config"];
  }

  async restart(): Promise<void> {
    await this.controller[Symbol.asyncDispose]();
    this.controller = this.#start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.controller[Symbol.asyncDispose]();
  }

  #informer(plural: string) {
    const found = this.cluster.informers.find(
      ({ resource, started, disposed }) => resource.plural === plural && started && !disposed,
    );
    assert.ok(found, `nobody follows ${plural}`);
    return found;
  }

  #start(): Controller {
    const controller = new Controller({
      cluster: this.cluster,
      elector: { mayWrite: true },
      events: this.cluster,
      namespace,
      configMap: "config",
      configSource: "crds",
      classes: classlessOnly,
      coreOptions: { seed: 1, configMap: "custom resources", hasConditions: false, hasPoolAnnotations: false },
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

test("custom resources give addresses; what is wrong is an event on the object at fault, and the one before stays in force", async () => {
  await using world = new World();
  await world.settle();
  world.see("ipaddresspools", "main", { addresses: ["10.0.0.0/30"] });
  world.see("l2advertisements", "all", {});
  world.sync();
  assert.deepEqual(
    (await world.settle()).filter((line) => line.includes("status")),
    ["default/web: status 10.0.0.0"],
  );
  assert.deepEqual(
    parseConfiguration(world.lastGood ?? "").config?.pools.map(({ name }) => name),
    ["main"],
  );
  world.see("ipaddresspools", "other", { addresses: ["10.0.0.2/31", "nonsense"] });
  const [overlap, ...more] = await world.settle();
  assert.match(
    overlap ?? "",
    /^metallb-system\/other: Warning ConfigStale: configuration not used, the previous one stays in force: IPAddressPool metallb-system\/other, spec\.addresses\[0\]: .*IPAddressPool metallb-system\/main.*spec\.addresses\[1\]: must be a CIDR/,
  );
  assert.deepEqual(more, []);
  world.forget("ipaddresspools", "other");
  assert.deepEqual(await world.settle(), ["metallb-system/other: Normal ConfigLoaded: configuration loaded"]);
});

test("a pool in use that is deleted stays in force until an object allows to renumber", async () => {
  await using world = new World();
  await world.settle();
  world.see("ipaddresspools", "a", { addresses: ["10.0.0.0/30"] });
  world.see("l2advertisements", "all", {});
  world.sync();
  await world.settle();
  world.forget("ipaddresspools", "a");
  world.see("ipaddresspools", "b", { addresses: ["10.0.1.0/30"] });
  const refused = await world.settle();
  assert.match(
    refused.join("\n"),
    /Warning ConfigStale: .*no pool would be left for addresses in use by default\/web \(10\.0\.0\.0\)/,
  );
  world.see("ipaddresspools", "b", { addresses: ["10.0.1.0/30"] }, { annotations: { "ingot.dev/allow-renumber": "true" } });
  assert.match((await world.settle()).join("\n"), /default\/web: status 10\.0\.1\.0/);
});

test("all objects gone, or a definition, turns nothing off, also after a restart", async () => {
  await using world = new World();
  await world.settle();
  world.see("ipaddresspools", "a", { addresses: ["10.0.0.0/30"] });
  world.see("l2advertisements", "all", {});
  world.sync();
  await world.settle();
  world.cluster.served.delete("l2advertisements");
  world.forget("l2advertisements", "all");
  assert.match((await world.settle()).join("\n"), /Warning ConfigStale: .*are not all installed; .*turns nothing off/);
  await world.restart();
  world.cluster.put("services", service("late"));
  assert.match((await world.settle()).join("\n"), /default\/late: status 10\.0\.0\.1/);
});

test("without definitions a Service is told why it waits, and gets its address once they and the objects are there", async () => {
  await using world = new World(false);
  assert.match((await world.settle()).join("\n"), /default\/web: Warning .*are not all installed \(custom resources\)/);
  world.install();
  for (let round = 0; round < 10; round++) await world.settle();
  world.see("ipaddresspools", "a", { addresses: ["10.0.0.0/30"] });
  world.sync();
  assert.match((await world.settle()).join("\n"), /default\/web: status 10\.0\.0\.0/);
});

// Scenario: many seeds.
import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import type { Random } from "#pkg/clock";
import { SimulatedClock, seededRandom } from "#pkg/clock/testing";
import { Recorder } from "#pkg/core";
import type { ObjectMeta, Service } from "#pkg/k8s";
import { configMap, FakeCluster, type FakeInformer } from "#pkg/k8s/testing";
import { configKey, lastGoodKey, statusConfigMap } from "#pkg/live-config";
import { silentLog } from "#pkg/log/testing";
import { Registry } from "#pkg/metrics";
import { classlessOnly, poolAnnotations } from "#pkg/service";
import { Controller } from "../../../controller/controller.ts";
import { ControllerMetrics } from "../../../controller/metrics.ts";
import { summaryKeys } from "../../../controller/status/summary.ts";
import { namespace } from "../../../controller/testing/world.ts";
import { Model, type ModelPool, type ModelQuota } from "./model.ts";
import { forSeeds } from "./seeds.ts";
import { block, type Configuration, drawWish, serviceOf, yaml } from "./story.ts";

// Few addresses, so that there is always somebody who waits.
const poolLists: readonly (readonly ModelPool[])[] = [
  [{ name: "main", addresses: block(0, 4, 2) }],
  [
    { name: "main", addresses: block(0, 3, 2), sharing: "namespace" },
    { name: "gold", addresses: block(1, 2, 1), autoAssign: false, reserved: [{ address: "10.0.1.0", service: "default/a" }] },
  ],
  [
    { name: "gold", addresses: block(1, 2, 2) },
    { name: "main", addresses: block(0, 4, 2), reserved: [{ address: "10.0.0.1", namespace: "team" }] },
    { name: "team", addresses: block(2, 2), namespaces: ["team"] },
  ],
];
const quotas: readonly (readonly ModelQuota[])[] = [
  [],
  [{ namespaces: ["default"], together: false, pools: ["main", "gold"], ipv4: 2, ipv6: 1 }],
];
const configurations: readonly Configuration[] = poolLists.flatMap((pools) => quotas.map((each) => ({ pools, quotas: each })));
const keys = ["default/a", "default/b", "default/c", "team/d", "team/e"];

interface Process {
  readonly controller: Controller;
  readonly informers: readonly FakeInformer<ObjectMeta>[];
}

/** Two controllers without the right to the Lease: each works as if it were the only one. Each sees what the other one writes some time later. */
class Pair {
  readonly cluster = new FakeCluster();
  readonly clock = new SimulatedClock();
  readonly wishes = new Map<string, ReturnType<typeof drawWish>>();
  readonly #random: Random;
  #uids = 0; // Number of Services made so far.
  readonly #processes: Process[] = [];

  constructor(random: Random) {
    this.#random = random;
    this.#configure();
    for (let index = 0; index < 2; index++) this.#start();
  }

  /** People change a Service or the configuration, a controller ends, or the API goes back to former versions of some Services. */
  async act(): Promise<void> {
    const dice = this.#random();
    if (dice < 0.1) return this.#configure();
    if (dice < 0.15) return this.#replace();
    const key = this.#pick(keys);
    if (this.#random() < 0.25 && this.wishes.delete(key)) {
      this.cluster.remove("services", key);
      return;
    }
    const has = this.cluster.service(key)?.ingress ?? [];
    const wish = drawWish(this.#random, key, has);
    this.wishes.set(key, wish);
    const former = configurations.flatMap(({ pools }) => pools).flatMap(({ addresses }) => addresses);
    const ingress = this.#random() < 0.3 ? [this.#pick(former)] : has;
    const uid = this.cluster.service(key)?.uid ?? `uid-${this.#uids++}`;
    const changed: Service = { ...serviceOf(wish), ingress, uid };
    this.cluster.put("services", changed);
  }

  /** Some of the pending work happens: a controller sees changes, or time passes. */
  async pass(): Promise<void> {
    const { controller, informers } = this.#pick(this.#processes);
    assert.ok(controller.view.isWorking || controller.missing.length > 0);
    if (this.#random() < 0.6) this.cluster.deliver(informers);
    this.clock.advanceBy(this.#random() < 0.5 ? 0 : this.#random() * 500);
    await setImmediate();
  }

  /** @returns what was written */
  async rest(ms: number): Promise<string[]> {
    this.cluster.transcript.length = 0;
    for (let passed = 0; passed < ms; passed += 1_000) {
      this.clock.advanceBy(1_000);
      do {
        for (const { informers } of this.#random() < 0.5 ? this.#processes : this.#processes.toReversed()) {
          this.cluster.deliver(informers);
          this.clock.advanceBy(0);
        }
        await setImmediate();
      } while (this.cluster.busy);
    }
    return this.cluster.transcript.slice();
  }

  get model(): Model {
    const ours = [...this.wishes.values()].filter(({ isOther }) => !isOther);
    const services = ours.map((wish) => ({ ...wish, has: this.cluster.service(wish.key)?.ingress ?? [] }));
    const inForce = this.#processes.map(({ controller }) => controller.view.configuration.inForce?.pools.map(({ name }) => name));
    assert.deepEqual(inForce[0], inForce[1]);
    const text = this.cluster.configMap(`${namespace}/${statusConfigMap}`)?.data[lastGoodKey];
    const found = configurations.find((each) => yaml(each) === text) ?? assert.fail(`there is no configuration ${text}`);
    return new Model(found.pools, services, found.quotas);
  }

  /** Services whose annotations name other pools than those of their addresses. */
  wrongAnnotations(): string[] {
    const { model } = this;
    return model.services.flatMap(({ key, has }) => {
      const pools = [...new Set(has.map((address) => model.poolOf(address)?.name))].sort().join();
      const named = poolAnnotations.map((name) => this.cluster.service(key)?.annotations[name]?.split(",").sort().join() ?? "");
      return named.every((one) => one === pools) ? [] : [`${key} has ${has} of ${pools || "no pool"}, and names ${named}`];
    });
  }

  #configure(): void {
    this.cluster.put("configmaps", configMap(`${namespace}/config`, { [configKey]: yaml(this.#pick(configurations)) }));
  }

  async #replace(): Promise<void> {
    const [ended] = this.#processes.splice(this.#pick([0, 1]), 1);
    await ended?.controller[Symbol.asyncDispose]();
    this.#start();
  }

  #start(): void {
    const { cluster, clock } = this;
    const before = cluster.informers.length;
    const controller = new Controller({
      cluster,
      elector: { mayWrite: true },
      events: cluster,
      namespace,
      configMap: "config",
      configSource: "configmap",
      classes: classlessOnly,
      restored: () => {},
      coreOptions: {
        seed: Math.floor(this.#random() * 2 ** 31),
        configMap: `${namespace}/config`,
        hasConditions: false,
        hasPoolAnnotations: true,
      },
      recorder: new Recorder(),
      metrics: new ControllerMetrics(new Registry()),
      log: silentLog,
      clock,
      random: seededRandom(Math.floor(this.#random() * 2 ** 31)),
    });
    controller.lead();
    controller.start();
    this.#processes.push({ controller, informers: cluster.informers.slice(before) });
  }

  #pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.#random() * items.length)] as T;
  }
}

forSeeds(
  "two controllers without the right to the Lease come to rest, and what they leave is what one allows and demands",
  200,
  async (seed) => {
    const random = seededRandom(seed);
    const pair = new Pair(random);
    for (let step = 0; step < 40; step++) {
      if (random() < 0.5) await pair.act();
      await pair.pass();
    }
    await pair.rest(900_000);
    const written = await pair.rest(300_000);
    // Each one's summary has dates of its own.
    const summaries = written.filter((line) => line.endsWith(`written ${summaryKeys.join(", ")}`));
    assert.deepEqual(
      written.filter((line) => !summaries.includes(line)),
      [],
      "they write for ever",
    );
    // Each waits for 150 to 300 s after it has seen the other's. Both may write in one moment, then one of them, and the other one at the end.
    assert.ok(summaries.length <= 4, `${summaries.length} summaries in five minutes`);
    assert.deepEqual(pair.model.faults(), []);
    assert.deepEqual(pair.wrongAnnotations(), []);
  },
);

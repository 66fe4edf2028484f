// Scenario: many seeds.
import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { type Random, SimulatedClock, seededRandom } from "#pkg/clock";
import { Recorder } from "#pkg/core";
import type { ObjectMeta } from "#pkg/k8s";
import { configMap, FakeCluster, type FakeInformer, service } from "#pkg/k8s/testing";
import { configKey } from "#pkg/live-config";
import { silentLog } from "#pkg/log";
import { Registry } from "#pkg/metrics";
import { annotations, classlessOnly } from "#pkg/service";
import { Controller } from "../../../controller/controller.ts";
import { ControllerMetrics } from "../../../controller/metrics.ts";
import { namespace } from "../../../controller/testing/world.ts";
import { Model, type ModelService } from "./model.ts";
import { forSeeds } from "./seeds.ts";

const addresses = ["10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3"];
const pools = [{ name: "main", addresses }];
const config = `address-pools:\n- {name: main, protocol: layer2, addresses: [${addresses.map((each) => `${each}/32`).join(", ")}]}\n`;
const names = ["a", "b", "c", "d", "e"];

interface Process {
  readonly controller: Controller;
  readonly informers: readonly FakeInformer<ObjectMeta>[];
}

/** Two controllers without the right to the Lease: each works as if it were the only one. Each sees what the other one writes some time later. */
class Pair {
  readonly cluster = new FakeCluster();
  readonly clock = new SimulatedClock();
  readonly wishes = new Map<string, Omit<ModelService, "has">>();
  readonly #random: Random;
  readonly #processes: Process[] = [];

  constructor(random: Random) {
    this.#random = random;
    this.cluster.put("configmaps", configMap(`${namespace}/config`, { [configKey]: config }));
    for (let index = 0; index < 2; index++) this.#start();
  }

  /** People change a Service, or the API goes back to former versions of some Services. */
  act(): void {
    const name = this.#pick(names);
    const key = `default/${name}`;
    if (this.#random() < 0.25 && this.wishes.delete(key)) {
      this.cluster.remove("services", key);
      return;
    }
    const wish = {
      key,
      families: [4] as const,
      pools: [],
      addresses: this.#random() < 0.4 ? [this.#pick(addresses)] : [],
      sharingKey: this.#random() < 0.3 ? "k" : "",
      backend: "",
      port: this.#pick([80, 81]),
    };
    this.wishes.set(key, wish);
    const ingress = this.#random() < 0.3 ? [this.#pick(addresses)] : (this.cluster.service(key)?.ingress ?? []);
    const spec = {
      annotations: wish.sharingKey === "" ? {} : { [annotations.sharing]: wish.sharingKey },
      loadBalancerIP: `${wish.addresses}`,
      ports: [{ name: "", protocol: "TCP", port: wish.port }] as const,
    };
    this.cluster.put("services", service(key, { ...spec, ingress }));
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
    return this.cluster.transcript.filter((line) => line.includes(": status "));
  }

  get model(): Model {
    const services = [...this.wishes.values()].map((wish) => ({ ...wish, has: this.cluster.service(wish.key)?.ingress ?? [] }));
    return new Model(pools, services);
  }

  #start(): void {
    const { cluster, clock } = this;
    const before = cluster.informers.length;
    const controller = new Controller({
      cluster,
      mayWrite: () => true,
      events: cluster,
      namespace,
      configMap: "config",
      classes: classlessOnly,
      coreOptions: { seed: Math.floor(this.#random() * 2 ** 31) },
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
      if (random() < 0.5) pair.act();
      await pair.pass();
    }
    await pair.rest(900_000);
    assert.deepEqual(await pair.rest(300_000), [], "they write for ever");
    assert.deepEqual(pair.model.faults(), []);
  },
);

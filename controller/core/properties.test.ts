// Long: whole histories of a controller.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import type { Random } from "#pkg/clock";
import { seededRandom } from "#pkg/clock/testing";
import { assertReplays } from "#pkg/core/testing";
import { annotations } from "#pkg/service";
import { configText, coreOptions, type ServiceSpec, startWorld, type World } from "../testing/world.ts";
import { controllerCore } from "./index.ts";

const names = ["a", "b", "c", "d", "e", "f", "g"];
// Few addresses, so that there is always somebody who waits.
const configs = [
  configText("main 10.0.0.0-10.0.0.1 fd00::1-fd00::1", "gold 10.0.1.0-10.0.1.0"),
  configText("main 10.0.0.0-10.0.0.2 fd00::1-fd00::2"),
  configText("gold 10.0.1.0-10.0.1.1", "main 10.0.0.0-10.0.0.1"),
  configText("all 10.0.0.0-10.0.1.255 fd00::1-fd00::3"),
  configText("main 10.0.0.1-10.0.0.2 fd00::2-fd00::2"),
];

class Story {
  readonly #random: Random;
  readonly #world: World;
  #endWrites = () => {};
  readonly #made = new Map<string, number>(); // UID -> when the Service was made

  constructor(random: Random, world: World) {
    this.#random = random;
    this.#world = world;
  }

  /** Something happens to a Service, the configuration, the API server or what the controller sees of it. */
  async step(): Promise<void> {
    const { cluster } = this.#world;
    const name = this.#pick(names);
    const exists = cluster.service(`default/${name}`) !== undefined;
    await this.#pick([
      ...new Array<() => void>(10).fill(() => (exists ? this.#world.change(name, this.#spec()) : this.#make(name))),
      ...new Array<() => void>(5).fill(() => this.#world.delete(name)),
      ...new Array<() => void>(2).fill(() => this.#world.config(this.#pick(configs))),
      () => exists && this.#world.change(name, { ingress: [this.#pick(["10.0.0.0", "10.0.0.1", "fd00::1", "192.0.2.1"])] }),
      () => cluster.silent.add(this.#pick(["services", "configmaps"] as const)),
      () => cluster.silent.clear(),
      () => {
        cluster.away = !cluster.away;
      },
      () => {
        this.#endWrites();
        const { promise, resolve } = Promise.withResolvers<void>();
        cluster.gate = promise;
        this.#endWrites = resolve;
      },
      () => this.#endWrites(),
      () => this.#world.clock.advanceBy(500),
      async () => {
        cluster.deliver();
        this.#world.clock.advanceBy(0);
        for (let turn = 0; turn < 3; turn++) await setImmediate();
      },
    ])();
  }

  /** Every obstacle ends, and time passes until nothing happens any more. */
  async calm(): Promise<void> {
    this.#endWrites();
    this.#world.cluster.away = false;
    this.#world.cluster.silent.clear();
    for (let retry = 0; retry < 5; retry++) {
      await this.#world.settle();
      this.#world.clock.advanceBy(31_000);
    }
    await this.#world.settle();
  }

  /** Services that are said to be as they are since before they were made: another one had their name. */
  get beforeTheirTime(): string[] {
    const all = [...this.#world.statuses()];
    return all.flatMap(({ service, since }) => (since < (this.#made.get(service.uid) ?? 0) ? [service.key] : []));
  }

  #make(name: string): void {
    const uid = `${this.#made.size}`;
    this.#made.set(uid, this.#world.clock.now());
    this.#world.service(name, { ...this.#spec(), uid });
  }

  #spec(): ServiceSpec {
    const often = <T>(part: number, value: T, otherwise: T): T => (this.#random() < part ? value : otherwise);
    return {
      type: often(0.1, "ClusterIP", "LoadBalancer"),
      annotations: {
        ...often<object>(0.4, { [annotations.sharing]: this.#pick(["k", "l"]) }, {}),
        ...often<object>(0.25, { [annotations.pool]: this.#pick(["main", "gold", "none"]) }, {}),
      },
      ports: [{ name: "", protocol: "TCP", port: this.#pick([80, 81, 82]) }],
      loadBalancerIP: often(0.25, this.#pick(["10.0.0.0", "10.0.0.1", "10.0.1.0", "192.0.2.1", "bad"]), ""),
      externalTrafficPolicy: often(0.3, "Local", "Cluster"),
      selector: this.#pick([{ app: "x" }, { app: "y" }]),
      clusterIPs: often(0.8, ["10.96.0.1"], this.#pick([["fd96::1"], ["10.96.0.1", "fd96::1"], []])),
    };
  }

  #pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.#random() * items.length)] as T;
  }
}

/** Pairs of Services that have one address and may not. */
function clashes(world: World): string[] {
  const services = names.flatMap((name) => world.cluster.service(`default/${name}`) ?? []);
  const found: string[] = [];
  for (const [index, a] of services.entries())
    for (const b of services.slice(index + 1)) {
      const key = a.annotations[annotations.sharing];
      const mayShare = key !== undefined && key === b.annotations[annotations.sharing] && a.ports[0]?.port !== b.ports[0]?.port;
      if (!mayShare && a.ingress.some((ip) => b.ingress.includes(ip))) found.push(`${a.key} ${b.key}`);
    }
  return found;
}

for (let seed = 1; seed <= 60; seed++)
  test(`whatever happens, no address is given twice, nobody is forgotten, a restart changes nothing, and what was recorded is decided again alike: seed ${seed}`, async () => {
    const random = seededRandom(seed);
    const world = await startWorld(configs[0]);
    const story = new Story(random, world);
    for (let chapter = 0; chapter < 10; chapter++) {
      for (let steps = random() * 12; steps > 0; steps--) await story.step();
      await story.calm();
      assert.deepEqual(clashes(world), []);
      assert.deepEqual(story.beforeTheirTime, []);
      const settled = world.addresses(...names);
      for (const name of names) if (world.cluster.service(`default/${name}`) !== undefined) world.change(name, {});
      await world.settle();
      assert.deepEqual(world.addresses(...names), settled, "nobody could have had something and was not woken");
      assertReplays(controllerCore, coreOptions, [...world.recorder.lines()].flat(), random);
      await world.restart();
      await world.settle();
      assert.deepEqual(world.addresses(...names), settled);
    }
  });

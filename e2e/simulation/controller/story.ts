import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import type { Random } from "#pkg/clock";
import type { Service } from "#pkg/k8s";
import { service } from "#pkg/k8s/testing";
import { lastGoodKey, statusConfigMap } from "#pkg/live-config";
import { annotations } from "#pkg/service";
import { namespace, type World } from "../../../controller/testing/world.ts";
import { Answers } from "./answers.ts";
import { Model, type ModelPool, type ModelQuota, type ModelService } from "./model.ts";

const keys = ["default/a", "default/b", "default/c", "default/d", "team/e", "team/f", "team/g"];

/** `10.0.BLOCK.0` and the following, then `fd00:aBLOCK::`. */
export function block(number: number, v4: number, v6 = 0): string[] {
  const of = (count: number, text: (i: number) => string) => Array.from({ length: count }, (_, i) => text(i));
  return [...of(v4, (i) => `10.0.${number}.${i}`), ...of(v6, (i) => `fd00:a${number}::${i + 1}`)];
}

/** Events besides the controller, and their rules. */
export interface Scene {
  readonly configurations: readonly Configuration[];
  /** In force at the start. */
  readonly first: Configuration;
  /** Called before people do something. */
  readonly before?: (world: World) => void;
  /** Waits until nothing is left to be done. */
  readonly rest?: (world: World) => Promise<void>;
  /** Recorded holders of addresses elsewhere. */
  readonly records?: () => ReadonlyMap<string, string>;
  /** Faults elsewhere at rest. */
  readonly faults?: (model: Model) => string[];
  /** Fields of a pool's configuration besides those of all scenes. */
  readonly fieldsOf?: (pool: ModelPool) => object;
  /** The text of a configuration, where it is not that of a ConfigMap. */
  readonly textOf?: (configuration: Configuration) => string;
  /** Those that Kubernetes has. */
  readonly namespaces?: ReadonlyMap<string, Readonly<Record<string, string>>>; // name -> labels
  /** Wrong decisions on a Service that was the only one to change, or on none. */
  readonly faultsOf?: (before: Model, after: Model, changed: string) => string[];
}

export interface Configuration {
  readonly pools: readonly ModelPool[];
  readonly quotas: readonly ModelQuota[];
}

export function yaml({ pools, quotas }: Configuration, fieldsOf: Scene["fieldsOf"] = () => ({})): string {
  const entries = pools.map((pool) => {
    const { name, addresses, autoAssign, closed, sharing, namespaces, reserved } = pool;
    return JSON.stringify({
      name,
      protocol: "layer2",
      addresses: addresses.map((address) => `${address}/${address.includes(":") ? 128 : 32}`),
      "auto-assign": autoAssign,
      closed,
      sharing,
      namespaces,
      reserved: reserved?.map(({ address, ...holder }) =>
        Object.keys(holder).length > 0 ? { addresses: [address], ...holder } : address,
      ),
      ...fieldsOf(pool),
    });
  });
  const known = pools.map(({ name }) => name);
  const limits = quotas.map((quota) => ({ ...quota, pools: quota.pools.filter((name) => known.includes(name)) }));
  const list = (lines: readonly string[]) => lines.map((line) => `- ${line}\n`).join("");
  const counted = limits.filter((quota) => quota.pools.length > 0).map((quota) => JSON.stringify(quota));
  return `address-pools:\n${list(entries)}${counted.length > 0 ? `quotas:\n${list(counted)}` : ""}`;
}

type Wishes = Map<string, Omit<ModelService, "has">>; // key -> what it asks for

/** Actions of people, one after another, and the conditions that hold each time when all is done. */
export class Story {
  readonly #random: Random;
  readonly #world: World;
  readonly #scene: Scene;
  readonly #wishes: Wishes = new Map();
  readonly #answers = new Answers();
  #inForce: Configuration;
  #wanted: Configuration;
  #services = 0; // Number of Services made so far.

  constructor(random: Random, world: World, scene: Scene) {
    this.#random = random;
    this.#world = world;
    this.#scene = scene;
    this.#inForce = scene.first;
    this.#wanted = scene.first;
  }

  async step(): Promise<void> {
    const before = this.#look();
    const inForceBefore = this.#inForce;
    this.#scene.before?.(this.#world);
    const touched = new Set([this.#act()]);
    const excused = new Set<string>(); // Services that asked for something else in between, or that the next controller may move
    // Something else happens in the middle of it.
    let isHurried = false;
    while (this.#random() < 0.2) {
      isHurried = true;
      for (let turns = 1 + Math.floor(this.#random() * 4); turns > 0; turns--) await this.#turn();
      if (this.#random() < 0.3 && !this.#needsThisController(touched)) {
        const seen = [...before.services, ...this.#look().services];
        await this.#world.handOver();
        // Where those on one address disagree, it goes by their age, and not by who changed.
        const changed = seen.filter(({ key }) => touched.has(key)).flatMap(({ has }) => has);
        for (const { key, has } of before.services) if (has.some((address) => changed.includes(address))) excused.add(key);
      } else {
        const key = this.#act();
        if (touched.has(key)) excused.add(key);
        touched.add(key);
      }
    }
    await this.#world.settle();
    await this.#scene.rest?.(this.#world);
    this.#inForce = this.#onRecord();
    const after = this.#look();
    if (after.fits(this.#wanted.pools)) assert.equal(this.#inForce, this.#wanted);
    assert.deepEqual([...after.faults(), ...(this.#scene.faults?.(after) ?? [])], []);
    await this.#answers.check(this.#world, this.#wishes.size, this.#pick(keys));
    this.#assertStayed(before, after, touched.union(excused));
    // In the middle of a step another configuration may be in force, or an address be shared, that the end does not show.
    for (const now of this.#inForce === inForceBefore && !isHurried ? after.services : []) {
      const was = before.services.find(({ key }) => key === now.key)?.has ?? [];
      assert.deepEqual(after.overQuota({ ...now, has: was }, now.has), [], `${now.key} has ${now.has} and had ${was}`);
    }
    const [changed = ""] = touched;
    if (!isHurried && this.#inForce === inForceBefore) assert.deepEqual(this.#scene.faultsOf?.(before, after, changed) ?? [], []);
    for (const now of after.services) {
      const was = before.services.find(({ key }) => key === now.key);
      // A Service that has what it asks for is not moved by others' actions, nor by a change that it meets as it is.
      if (was === undefined || excused.has(now.key) || !before.isMet(was) || !after.isMet({ ...now, has: was.has })) continue;
      // In the middle of a step it was maybe contested by a Service that is gone by now.
      const seen = isHurried ? [before, after] : [after];
      if (touched.has(now.key) && was.has.some((address) => seen.some((model) => isContested(model, now, address)))) continue;
      // In the order in which it names them, which may be another one now.
      assert.deepEqual(now.has.toSorted(), was.has.toSorted(), `${now.key} was moved when ${[...touched]} changed`);
    }
  }

  /** Nobody releases the records of a pool that left the configuration once the controller has ended that saw it leave. */
  #needsThisController(touched: ReadonlySet<string>): boolean {
    const { pools } = this.#inForce;
    const kept = pools.filter(({ netbox }) => netbox !== undefined).flatMap(({ addresses }) => addresses);
    const records = this.#scene.records?.();
    if (records === undefined) return false;
    const mayLeave = touched.has("configuration") || this.#wanted !== this.#inForce;
    return mayLeave || [...records.keys()].some((address) => !kept.includes(address));
  }

  /** Nobody gives an address up for a second family because of others. */
  #assertStayed(before: Model, after: Model, touched: ReadonlySet<string>): void {
    for (const now of after.services) {
      const was = before.services.find(({ key }) => key === now.key)?.has ?? [];
      const isOnlyOne = now.pools.length === 0 && now.addresses.length === 0 && was.length === 1 && now.families.length === 2;
      if (!isOnlyOne || touched.has(now.key) || touched.has("configuration")) continue;
      assert.ok(now.has.includes(`${was}`), `${now.key} had ${was} and has ${now.has} since ${[...touched]} changed`);
    }
  }

  /** @returns the Service that changed, or `configuration` */
  #act(): string {
    const key = this.#pick(keys);
    const { cluster } = this.#world;
    const dice = this.#random();
    if (dice < 0.12) {
      this.#wanted = this.#pick(this.#scene.configurations);
      this.#world.config(this.#textOf(this.#wanted));
      return "configuration";
    }
    if (dice < 0.35 && this.#wishes.delete(key)) {
      cluster.remove("services", key);
      return key;
    }
    const wish = drawWish(this.#random, key, cluster.service(key)?.ingress ?? []);
    this.#wishes.set(key, wish);
    const ingress = cluster.service(key)?.ingress ?? [];
    const uid = cluster.service(key)?.uid ?? `uid-${this.#services++}`;
    const changed: Service = { ...serviceOf(wish), ingress, uid };
    cluster.put("services", changed);
    return key;
  }

  /** The controller handles a part of what is pending. */
  async #turn(): Promise<void> {
    this.#world.cluster.deliver();
    if (this.#random() < 0.5) this.#world.clock.advanceBy(0);
    await setImmediate();
  }

  /** The configuration that the controller has recorded as the last good one. */
  #onRecord(): Configuration {
    const text = this.#world.cluster.configMap(`${namespace}/${statusConfigMap}`)?.data[lastGoodKey];
    const known = [this.#wanted, this.#inForce, ...this.#scene.configurations];
    return known.find((each) => this.#textOf(each) === text) ?? assert.fail(`there is no configuration ${text}`);
  }

  #textOf(configuration: Configuration): string {
    const { textOf, fieldsOf } = this.#scene;
    return textOf?.(configuration) ?? yaml(configuration, fieldsOf);
  }

  #look(): Model {
    const services = [...this.#wishes.values()].map((wish) => {
      const { ingress: has = [], labels = {} } = this.#world.cluster.service(wish.key) ?? {};
      return { ...wish, has, labels, namespaceLabels: this.#scene.namespaces?.get(wish.key.replace(/\/.*/, "")) };
    });
    return new Model(this.#inForce.pools, services, this.#inForce.quotas, this.#scene.records?.());
  }

  #pick<T>(items: readonly T[]): T {
    return pick(this.#random, items);
  }
}

function pick<T>(random: Random, items: readonly T[]): T {
  return items[Math.floor(random() * items.length)] as T;
}

/** Draws a Service that somebody asks for. @param before the addresses that it has */
export function drawWish(random: Random, key: string, before: readonly string[]): Omit<ModelService, "has"> {
  const asked = ["10.0.0.0", "10.0.0.1", "10.0.1.0", "10.0.2.1", "192.0.2.1"];
  const [one, other] = [pick(random, asked), pick(random, asked)];
  // A move without a gap: the new address, then the one that it has.
  const isMove = before.length === 1 && before[0]?.includes(".") && before[0] !== one && random() < 0.5;
  const lists = [[one], [one], isMove ? [one, `${before}`] : [...new Set([one, other])]];
  const addresses = random() < 0.25 ? pick(random, lists) : [];
  const families = addresses.length > 0 ? [4] : pick(random, [[4], [4], [6], [4, 6]]);
  const names = ["main", "gold", "team", "none"];
  const pools = pick(random, [[pick(random, names)], [pick(random, names)], [pick(random, names), pick(random, names)]]);
  return {
    key,
    families: families as (4 | 6)[],
    pools: addresses.length === 0 && random() < 0.35 ? pools : [],
    addresses,
    sharingKey: random() < 0.4 ? pick(random, ["k", "l"]) : "",
    backend: random() < 0.25 ? pick(random, ["app=x", "app=y"]) : "",
    port: pick(random, [80, 81, 82]),
  };
}

/** Whether the Service itself gave others a reason against it: by other terms of sharing. */
function isContested({ services }: Model, service: ModelService, address: string): boolean {
  return services.some(({ key, has }) => key !== service.key && has.includes(address));
}

/** The Service of somebody who asks for this. */
export function serviceOf({ key, families, pools, addresses, sharingKey, backend, port }: Omit<ModelService, "has">): Service {
  return service(key, {
    clusterIPs: families.map((family) => (family === 4 ? "10.96.0.1" : "fd96::1")),
    annotations: {
      ...(sharingKey !== "" && { [annotations.sharing]: sharingKey }),
      ...(pools.length > 0 && { [annotations.pool]: pools.join() }),
      ...(addresses.length > 1 && { [annotations.addresses]: addresses.join() }),
    },
    loadBalancerIP: addresses.length === 1 ? `${addresses}` : "",
    externalTrafficPolicy: backend === "" ? "Cluster" : "Local",
    selector: backend === "" ? {} : { app: backend.slice("app=".length) },
    ports: [{ name: "", protocol: "TCP", port }],
    labels: { port: `${port}` },
  });
}

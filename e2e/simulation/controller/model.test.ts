import assert from "node:assert/strict";
import { test } from "node:test";
import { type Random, seededRandom } from "#pkg/clock";
import type { Service } from "#pkg/k8s";
import { service } from "#pkg/k8s/testing";
import { annotations } from "#pkg/service";
import { startWorld, type World } from "../../../controller/testing/world.ts";
import { Model, type ModelPool, type ModelQuota, type ModelService } from "./model.ts";

/** A hundred take some two seconds. */
const count = Number(process.env.MODEL_SEEDS ?? 200);
const from = Number(process.env.MODEL_FROM ?? 1);

/** `10.0.BLOCK.0` and the following, then `fd00:aBLOCK::`. */
function block(number: number, v4: number, v6 = 0): string[] {
  const of = (count: number, text: (i: number) => string) => Array.from({ length: count }, (_, i) => text(i));
  return [...of(v4, (i) => `10.0.${number}.${i}`), ...of(v6, (i) => `fd00:a${number}::${i + 1}`)];
}

interface Configuration {
  readonly pools: readonly ModelPool[];
  readonly quotas: readonly ModelQuota[];
}

const everyPool = ["main", "gold", "team", "alone"];
const quotas: readonly (readonly ModelQuota[])[] = [
  [],
  [{ namespaces: ["default"], together: false, pools: everyPool, ipv4: 2, ipv6: 1 }],
  [
    { namespaces: ["default", "team"], together: true, pools: ["main"], services: 2 },
    { namespaces: ["default", "team"], together: false, pools: ["gold"], ipv4: 1 },
  ],
];
// Few addresses, so that there is always somebody who waits.
const poolLists: readonly (readonly ModelPool[])[] = [
  [
    { name: "main", addresses: block(0, 2, 2) },
    { name: "gold", addresses: block(1, 1) },
  ],
  [{ name: "main", addresses: block(0, 3, 2) }],
  [
    { name: "gold", addresses: block(1, 2), autoAssign: false },
    { name: "main", addresses: block(0, 2, 1) },
  ],
  [
    { name: "main", addresses: block(0, 3, 3), sharing: "namespace" },
    { name: "team", addresses: block(2, 2), namespaces: ["team"] },
  ],
  [
    { name: "main", addresses: block(0, 4, 3), reserved: ["10.0.0.0", "fd00:a0::1"] },
    { name: "gold", addresses: block(1, 2), closed: true },
    { name: "alone", addresses: block(3, 1), sharing: "none" },
  ],
];
const keys = ["default/a", "default/b", "default/c", "default/d", "team/e", "team/f", "team/g"];

const configurations: readonly Configuration[] = poolLists.flatMap((pools) => quotas.map((each) => ({ pools, quotas: each })));

function yaml({ pools, quotas }: Configuration): string {
  const entries = pools.map(({ name, addresses, autoAssign, closed, sharing, namespaces, reserved }) =>
    JSON.stringify({
      name,
      protocol: "layer2",
      addresses: addresses.map((address) => `${address}/${address.includes(":") ? 128 : 32}`),
      "auto-assign": autoAssign,
      closed,
      sharing,
      namespaces,
      reserved,
    }),
  );
  const known = pools.map(({ name }) => name);
  const limits = quotas.map((quota) => ({ ...quota, pools: quota.pools.filter((name) => known.includes(name)) }));
  const list = (lines: readonly string[]) => lines.map((line) => `- ${line}\n`).join("");
  const counted = limits.filter((quota) => quota.pools.length > 0).map((quota) => JSON.stringify(quota));
  return `address-pools:\n${list(entries)}${counted.length > 0 ? `quotas:\n${list(counted)}` : ""}`;
}

type Wishes = Map<string, Omit<ModelService, "has">>; // key -> what it asks for

/** What people do, one thing after another, and what is to be true each time when all is done. */
class Story {
  readonly #random: Random;
  readonly #world: World;
  readonly #wishes: Wishes = new Map();
  #inForce: Configuration;
  #wanted: Configuration;

  constructor(random: Random, world: World, configuration: Configuration) {
    this.#random = random;
    this.#world = world;
    this.#inForce = configuration;
    this.#wanted = configuration;
  }

  async step(): Promise<void> {
    const before = this.#look();
    const inForceBefore = this.#inForce;
    const touched = this.#act();
    await this.#world.settle();
    const seen = this.#look();
    if (seen.fits(this.#wanted.pools)) this.#inForce = this.#wanted;
    const after = this.#look();
    assert.deepEqual(after.faults(), []);
    for (const now of this.#inForce === inForceBefore ? after.services : []) {
      const was = before.services.find(({ key }) => key === now.key)?.has ?? [];
      assert.deepEqual(after.overQuota({ ...now, has: was }, now.has), [], `${now.key} has ${now.has} and had ${was}`);
    }
    if (touched === undefined) return;
    for (const now of after.services) {
      const was = before.services.find(({ key }) => key === now.key);
      // Who has what it asks for is not moved by what others do, nor by a change that it meets as it is.
      if (was === undefined || !before.isMet(was) || !after.isMet({ ...now, has: was.has })) continue;
      if (now.key === touched && was.has.some((address) => isContested(after, now, address))) continue;
      assert.deepEqual(now.has, was.has, `${now.key} was moved when ${touched} changed`);
    }
  }

  /** @returns the Service that changed, or `configuration` */
  #act(): string {
    const key = this.#pick(keys);
    const { cluster } = this.#world;
    const dice = this.#random();
    if (dice < 0.12) {
      this.#wanted = this.#pick(configurations);
      this.#world.config(yaml(this.#wanted));
      return "configuration";
    }
    if (dice < 0.35 && this.#wishes.delete(key)) {
      cluster.remove("services", key);
      return key;
    }
    const wish = this.#wish(key);
    this.#wishes.set(key, wish);
    const ingress = cluster.service(key)?.ingress ?? [];
    const changed: Service = { ...serviceOf(wish), ingress };
    cluster.put("services", changed);
    return key;
  }

  #look(): Model {
    const services = [...this.#wishes.values()].map((wish) => ({
      ...wish,
      has: this.#world.cluster.service(wish.key)?.ingress ?? [],
    }));
    return new Model(this.#inForce.pools, services, this.#inForce.quotas);
  }

  #wish(key: string): Omit<ModelService, "has"> {
    const before = this.#world.cluster.service(key)?.ingress ?? [];
    const asked = ["10.0.0.0", "10.0.0.1", "10.0.1.0", "10.0.2.1", "192.0.2.1"];
    const [one, other] = [this.#pick(asked), this.#pick(asked)];
    // A move without a gap: the new address, then the one that it has.
    const isMove = before.length === 1 && before[0]?.includes(".") && before[0] !== one && this.#random() < 0.5;
    const lists = [[one], [one], isMove ? [one, `${before}`] : [...new Set([one, other])]];
    const addresses = this.#random() < 0.25 ? this.#pick(lists) : [];
    const families = addresses.length > 0 ? [4] : this.#pick([[4], [4], [6], [4, 6]]);
    const names = ["main", "gold", "team", "none"];
    const pools = this.#pick([[this.#pick(names)], [this.#pick(names)], [this.#pick(names), this.#pick(names)]]);
    return {
      key,
      families: families as (4 | 6)[],
      pools: addresses.length === 0 && this.#random() < 0.35 ? pools : [],
      addresses,
      sharingKey: this.#random() < 0.4 ? this.#pick(["k", "l"]) : "",
      backend: this.#random() < 0.25 ? this.#pick(["app=x", "app=y"]) : "",
      port: this.#pick([80, 81, 82]),
    };
  }

  #pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.#random() * items.length)] as T;
  }
}

/** Whether the Service itself gave others a reason against it: by other terms of sharing. */
function isContested({ services }: Model, service: ModelService, address: string): boolean {
  return services.some(({ key, has }) => key !== service.key && has.includes(address));
}

function serviceOf({ key, families, pools, addresses, sharingKey, backend, port }: Omit<ModelService, "has">): Service {
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
  });
}

for (let seed = from; seed < from + count; seed++)
  test(`the controller does what the plain model allows and demands, whatever people ask for: seed ${seed}`, async () => {
    const [first = { pools: [], quotas: [] }] = configurations;
    const world = await startWorld(yaml(first));
    const story = new Story(seededRandom(seed), world, first);
    for (let step = 0; step < 60; step++) await story.step();
  });

test("the model finds what is beyond a quota, and does not demand it", () => {
  const asks = { families: [4] as const, pools: [], addresses: [], sharingKey: "", backend: "", port: 80 };
  const pools = [{ name: "main", addresses: ["10.0.0.0", "10.0.0.1", "10.0.0.2"] }];
  const quota = { namespaces: ["default"], together: false, pools: ["main"], ipv4: 1 };
  const services = [["10.0.0.0"], []].map((has, i) => ({ ...asks, key: `default/${i}`, has }));
  const model = new Model(pools, services, [quota]);
  assert.deepEqual(model.faults(), []);
  assert.match(new Model(pools, services).faults().join(), /default\/1 has nothing, and could have all/);
  const second = { ...asks, key: "default/1", has: [] };
  assert.deepEqual(model.overQuota(second, ["10.0.0.1"]), [quota]);
  assert.deepEqual(model.overQuota(second, ["10.0.0.0"]), [], "one that its namespace has already");
  assert.deepEqual(model.overQuota({ ...second, key: "team/1" }, ["10.0.0.1"]), []);
});

test("the model demands an address of each pool that a Service names, and all that it lists", () => {
  const asks = { families: [4] as const, sharingKey: "", backend: "", port: 80, key: "default/a" };
  const pools = ["main", "gold"].map((name, i) => ({ name, addresses: [`10.0.${i}.0`] }));
  const faults = (service: Pick<ModelService, "pools" | "addresses" | "has">) =>
    new Model(pools, [{ ...asks, ...service }]).faults();
  assert.deepEqual(faults({ pools: ["main", "gold"], addresses: [], has: ["10.0.0.0", "10.0.1.0"] }), []);
  assert.match(faults({ pools: ["main", "gold"], addresses: [], has: ["10.0.0.0"] }).join(), /could have all/);
  assert.match(faults({ pools: [], addresses: ["10.0.1.0", "10.0.0.0"], has: ["10.0.0.0"] }).join(), /could have all/);
  assert.match(faults({ pools: ["gold"], addresses: [], has: ["10.0.0.0", "10.0.1.0"] }).join(), /not in one pool/);
});

test("the model finds an address that two have, one that is in no pool, one that somebody waits for in vain, and pools that strand", () => {
  const asks = { families: [4] as const, pools: [], addresses: [], sharingKey: "", backend: "", port: 80 };
  const pools = [{ name: "main", addresses: ["10.0.0.0", "10.0.0.1"] }];
  const of = (...has: (readonly string[])[]) =>
    new Model(
      pools,
      has.map((each, i) => ({ ...asks, key: `default/${i}`, has: each })),
    );
  assert.deepEqual(of(["10.0.0.0"], ["10.0.0.1"], []).faults(), []);
  assert.match(of(["10.0.0.0"], ["10.0.0.0"]).faults().join(), /default\/0 and default\/1 both have 10\.0\.0\.0/);
  assert.match(of(["10.9.9.9"]).faults().join(), /not in one pool/);
  assert.match(of(["10.0.0.0"], []).faults().join(), /default\/1 has nothing, and could have all/);
  assert.equal(of(["10.0.0.1"]).fits([{ name: "main", addresses: ["10.0.0.0"] }]), false);
});

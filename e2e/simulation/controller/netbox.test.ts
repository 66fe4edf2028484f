// Scenario: many seeds.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { type Millis, type Random, sleep } from "#pkg/clock";
import { seededRandom } from "#pkg/clock/testing";
import { secret } from "#pkg/k8s/testing";
import { FakeNetbox, type Fault } from "#pkg/netbox/testing";
import { namespace, startWorld, type World } from "../../../controller/testing/world.ts";
import type { Model, ModelPool, ModelQuota } from "./model.ts";
import { forSeeds } from "./seeds.ts";
import { block, type Configuration, type Scene, Story, yaml } from "./story.ts";

const pools = ["main", "gold", "team"];
const quotas: readonly (readonly ModelQuota[])[] = [
  [],
  [{ namespaces: ["default"], together: false, pools, ipv4: 1, ipv6: 1 }],
  [
    { namespaces: ["default", "team"], together: true, pools: ["gold"], ipv4: 2 },
    { namespaces: ["team"], together: false, pools: ["main", "gold"], services: 1 },
  ],
];
// `gold` is kept in NetBox. Few addresses, so that there is always somebody who waits.
const poolLists: readonly (readonly ModelPool[])[] = [
  [{ name: "gold", addresses: block(1, 3, 2), netbox: "allocate" }],
  [
    { name: "main", addresses: block(0, 2) },
    { name: "gold", addresses: block(1, 3, 2), netbox: "allocate" },
  ],
  [
    { name: "main", addresses: block(0, 1, 1) },
    { name: "gold", addresses: block(1, 3, 2), netbox: "allocate", sharing: "namespace" },
    { name: "team", addresses: block(2, 2), namespaces: ["team"] },
  ],
  [
    { name: "gold", addresses: block(1, 3, 2), netbox: "record", reserved: [{ address: "10.0.1.1", service: "default/a" }] },
    { name: "main", addresses: block(0, 2, 1) },
  ],
  [
    { name: "gold", addresses: block(1, 3, 2), netbox: "allocate", autoAssign: false },
    { name: "main", addresses: block(0, 2, 1) },
  ],
  [
    { name: "gold", addresses: block(1, 3, 2), netbox: "record", closed: true },
    { name: "main", addresses: block(0, 1, 1), sharing: "none" },
  ],
  [
    { name: "gold", addresses: block(1, 3, 2), netbox: "allocate", closed: true },
    { name: "main", addresses: block(0, 1, 1) },
  ],
  [
    { name: "gold", addresses: block(1, 3, 2), netbox: "allocate", namespaces: ["team"], sharing: "none" },
    { name: "main", addresses: block(0, 2, 1) },
  ],
  [{ name: "main", addresses: [...block(0, 3, 2), ...block(1, 3, 2)] }],
];
const configurations: readonly Configuration[] = poolLists.flatMap((those) =>
  quotas.map((each) => ({ pools: those, quotas: each })),
);

const secretKey = `${namespace}/netbox`;
const description = /^Kubernetes Service (\S+) \((.*)\)$/;

const faults: readonly Fault[] = ["noAnswer", "lostAnswer", "error", "tooMany", "notJson", "halfAnAnswer", "silence", "late"];
const slow = "NetBox is slow";
// A request that fails again and again is tried again after five minutes at the latest; all is read again as often, and a record that nobody needs goes a
// minute later.
const maxRetryMs: Millis = 480_000;
const maxRestMinutes = 60;

/** A NetBox that keeps the pools of the scene, and its rules. It fails, is slow, restarts, and answers too late at times. */
class NetboxScene implements Scene {
  readonly configurations = configurations;
  readonly first = configurations[0] ?? { pools: [], quotas: [] };
  readonly netbox = FakeNetbox.inMemory("10.0.1.0-10.0.1.2", "fd00:a1::1-fd00:a1::2");
  readonly maxPassMs: Millis = 3_000;
  readonly #random: Random;
  readonly #onRelease: string;
  #troubledAt: Millis = -Infinity;
  #world: World | undefined;

  constructor(random: Random) {
    this.#random = random;
    this.#onRelease = random() < 0.6 ? "delete" : random() < 0.5 ? "keep" : "deprecate";
  }

  /** What happens to it from now on, until it is well again. */
  readonly before = (world: World): void => {
    const { netbox } = this;
    const pick = (limit: number) => Math.floor(this.#random() * limit);
    netbox.faults.length = 0;
    netbox.beforeAnswer = undefined;
    if (pick(8) === 0) this.#edit();
    if (pick(12) === 0) this.#loseSecret(world);
    if (pick(3) === 0) netbox.beforeAnswer = () => sleep(world.clock, slow, pick(9_000));
    if (pick(4) > 0) return;
    this.#troubledAt = world.clock.now();
    const isRestart = pick(3) === 0;
    for (let count = 1 + pick(6); count > 0; count--)
      netbox.faults.push(isRestart ? "noAnswer" : pick(3) === 0 ? undefined : faults[pick(faults.length)]);
  };

  /** People change records by hand. */
  #edit(): void {
    const { addresses } = this.netbox;
    const pick = <T>(items: readonly T[]): T => items[Math.floor(this.#random() * items.length)] as T;
    const found = pick([...addresses.values()]);
    const action = pick(["remove", "router", "status", "add", "add"] as const);
    if (action === "add") {
      const address = pick([...block(1, 3), ...block(1, 0, 2)]);
      const isTaken = [...addresses.values()].some((other) => other.address.startsWith(`${address}/`));
      if (!isTaken) this.netbox.add(`${address}/${address.includes(":") ? 64 : 24}`, { description: "router" });
    } else if (found === undefined) return;
    else if (action === "remove") addresses.delete(found.id);
    else if (action === "router") addresses.set(found.id, { ...found, description: "router" });
    else addresses.set(found.id, { ...found, status: { value: pick(["reserved", "deprecated"]) } });
  }

  /** Until it is well again there is no token, or one for another NetBox. */
  #loseSecret(world: World): void {
    const { token } = this.netbox;
    const other = secret(secretKey, { token, url: "http://other.invalid" }, "netbox-token");
    if (this.#random() < 0.5) world.cluster.put("secrets", other);
    else world.cluster.remove("secrets", secretKey);
  }

  readonly fieldsOf = ({ netbox: mode, addresses }: ModelPool): object => {
    if (mode === undefined) return {};
    const of = (family: string) => addresses.filter((address) => address.includes(family));
    const ranges = [of("."), of(":")].map((those) => `${those[0]}-${those.at(-1)}`);
    const token = { name: "netbox" };
    const tags = ["k8s", "cluster-a"];
    return {
      addresses: ranges,
      netbox: { url: this.netbox.url, "token-secret": token, tags, mode, "on-release": this.#onRelease },
    };
  };

  readonly rest = async (world: World): Promise<void> => {
    this.giveSecret(world);
    this.#troubledAt = world.clock.now();
    for (let minutes = 0; minutes < maxRestMinutes; minutes++) {
      const before = this.#changes;
      const faults = this.netbox.faults.length;
      await this.#quiet(world);
      world.clock.advanceBy(61_000);
      await this.#quiet(world);
      if (this.netbox.faults.length < faults) this.#troubledAt = world.clock.now();
      const isTroubled = world.clock.now() < this.#troubledAt + maxRetryMs;
      if (minutes > 1 && !isTroubled && this.#changes === before) return;
    }
    assert.fail(`NetBox does not come to rest:\n${this.netbox.requests.slice(-20).join("\n")}`);
  };

  giveSecret(world: World): void {
    this.#world = world;
    const { token, url } = this.netbox;
    world.cluster.put("secrets", secret(secretKey, { token, url }, "netbox-token"));
  }

  /** One that is not active is no longer its Service's, nor is that of an earlier one of the name. */
  readonly records = (): ReadonlyMap<string, string> =>
    new Map(this.#records.map(({ address, owner, status }) => [address, status === "active" ? owner : status]));

  /**
   * Each address in use has one record, of one of its holders; each record is of an address in use, or of a Service that waits for more.
   */
  readonly faults = (model: Model): string[] => {
    const { pools: inForce, services } = model;
    const kept = inForce.filter(({ netbox }) => netbox !== undefined).flatMap(({ addresses }) => addresses);
    const found: string[] = [];
    for (const { key, has } of services)
      for (const address of has.filter((each) => kept.includes(each))) {
        const owners = this.#records.filter((record) => record.address === address).map(({ owner }) => owner);
        const holders = services.filter((other) => other.has.includes(address)).map((other) => other.key);
        if (owners.length !== 1 || !(holders.includes(`${owners}`) || owners.includes("router")))
          found.push(`${address} of ${key} is recorded for ${owners.join() || "nobody"}`);
      }
    for (const { address, owner, status } of this.#records) {
      const service = services.find(({ key }) => key === owner);
      const isHeld = services.some(({ has }) => has.includes(address));
      // One that waits for more than it was given so far keeps that, as long as its quotas allow it.
      const isAwaiting = service !== undefined && !model.isMet(service) && model.overQuota(service, [address]).length === 0;
      if (owner !== "router" && !isHeld && !isAwaiting && status === "active" && this.#onRelease !== "keep")
        found.push(`${address} is recorded for ${owner}, who does not need it`);
    }
    return found;
  };

  get #records(): { readonly address: string; readonly owner: string; readonly status: string }[] {
    return Array.from(this.netbox.addresses.values(), ({ address, description: text, status }) => {
      const [, service = "router", uid] = description.exec(text) ?? [];
      const isGone = uid !== undefined && this.#world?.cluster.service(service)?.uid !== uid;
      return { address: address.split("/")[0] ?? "", owner: isGone ? `${service} before` : service, status: status.value };
    });
  }

  get #changes(): number {
    return this.netbox.requests.filter((request) => !request.startsWith("GET")).length;
  }

  /** Until NetBox has not been asked anything for a second. */
  async #quiet(world: World): Promise<void> {
    for (let rounds = 0; rounds < 4; rounds++) {
      const before = this.netbox.requests.length;
      world.clock.advanceBy(250);
      await world.settle();
      for (let turns = 0; turns < 3; turns++) await setImmediate();
      await world.settle();
      if (this.netbox.requests.length > before || world.clock.pending().includes(slow)) rounds = 0;
    }
  }
}

const { fetch: network } = globalThis;

async function tell(seed: number): Promise<void> {
  const random = seededRandom(seed);
  const scene = new NetboxScene(random);
  globalThis.fetch = scene.netbox.fetch;
  try {
    if (random() < 0.3) scene.netbox.add("10.0.1.1/24", { description: "router" });
    const world = await startWorld(undefined);
    scene.giveSecret(world);
    world.config(yaml(scene.first, scene.fieldsOf));
    await scene.rest(world);
    const story = new Story(random, world, scene);
    for (let step = 0; step < 30; step++) await story.step();
  } finally {
    globalThis.fetch = network;
  }
}

forSeeds("with pools in NetBox the controller does what the plain model allows and demands, and NetBox comes to rest", 40, tell);

test("nobody waits in vain where NetBox chooses an address whose removed record still counts", () => tell(221_898));

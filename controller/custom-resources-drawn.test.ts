// Long: hundreds of histories.
// Scenario: many seeds.
import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "#pkg/clock/testing";
import { parseConfiguration } from "#pkg/convert";
import { service } from "#pkg/k8s/testing";
import { ResourcesWorld } from "./testing/resources-world.ts";

/** As many as a few seconds allow; more by SEEDS. */
const seeds = Number(process.env.SEEDS ?? 60);
const first = Number(process.env.SEED ?? 1);

/** Pool -> the third number of its 256 addresses. */
type Pools = ReadonlyMap<string, number>;
type Change = readonly [plural: string, name: string, spec: object | undefined];
const needed = ["ipaddresspools", "l2advertisements", "bgpadvertisements", "bgppeers"];

const specOf = (range: number) => ({ addresses: [`10.0.${range}.0/24`] });
const rangeOf = (address: string) => Number(address.split(".")[2]);

/**
 * Somebody edits pools, object by object, while others make and delete Services, definitions go and come back without their objects, and the
 * controller starts again. Beside it a plain model of which pools count.
 */
class Story {
  readonly world = new ResourcesWorld();
  readonly #pick: (limit: number) => number;
  readonly #objects = new Map<string, Change>(); // as they are in the API
  #wanted: Pools = new Map();
  #inForce: Pools = new Map();
  readonly #held = new Map([["web", ""]]); // Service -> its address
  #made = 0;
  readonly said: string[] = [];

  constructor(seed: number) {
    const random = seededRandom(seed);
    this.#pick = (limit) => Math.floor(random() * limit);
  }

  async begin(): Promise<void> {
    await this.world.settle();
    this.#change(["l2advertisements", "all", {}]);
    this.#change(["bgpadvertisements", "all", {}]);
    this.#change(["bgppeers", "tor", { myASN: 64512, peerASN: 64513, peerAddress: "192.0.2.1" }]);
    this.#wanted = this.#inForce = new Map([["a", 0]]);
    this.#change(["ipaddresspools", "a", specOf(0)]);
    this.world.sync();
    await this.#rest();
  }

  async step(): Promise<void> {
    const act = this.#pick(10);
    if (act < 6) await this.#edit();
    else if (act < 8) await this.#loseDefinition();
    else if (act < 9) await this.#restart();
    const [name] = [...this.#held.keys()].slice(this.#pick(3));
    if (this.#pick(3) === 0 && name !== undefined) {
      this.said.push(`${name} is deleted`);
      this.world.cluster.remove("services", `default/${name}`);
      this.#held.delete(name);
    }
    await this.#rest();
  }

  /** Some pools are others, by changes in any order and not far apart; Services are made meanwhile. */
  async #edit(): Promise<void> {
    const ranges = [0, 1, 2, 3, 4, 5].map((range) => ({ range, place: this.#pick(1_000) })).sort((a, b) => a.place - b.place);
    const names = ["a", "b", "c"].slice(0, 1 + this.#pick(3));
    const keeps = this.#pick(3) > 0; // Mostly addresses in use stay in some pool.
    const used = [...new Set([...this.#held.values()].map(rangeOf))];
    const order = [
      ...(keeps ? used : []),
      ...ranges.map(({ range }) => range).filter((range) => !keeps || !used.includes(range)),
    ];
    const wanted = new Map(
      order.slice(0, Math.max(names.length, keeps ? used.length : 1)).map((range, i) => ["abcdef"[i] ?? "", range]),
    );
    const changes: Change[] = [];
    for (const [name, range] of wanted)
      if (this.#wanted.get(name) !== range) changes.push(["ipaddresspools", name, specOf(range)]);
    for (const name of this.#wanted.keys()) if (!wanted.has(name)) changes.push(["ipaddresspools", name, undefined]);
    const shuffled = changes.map((change) => ({ change, place: this.#pick(1_000) })).sort((a, b) => a.place - b.place);
    this.said.push(`edit ${JSON.stringify([...wanted])}`);
    const isRestarted = this.#pick(4) === 0 ? this.#pick(shuffled.length + 1) : -1;
    for (const [index, { change }] of shuffled.entries()) {
      if (index === isRestarted) {
        await this.#restart();
        await this.world.pass(50 * this.#pick(4));
      }
      if (this.#pick(4) === 0 && change[2] !== undefined) this.#change([change[0], change[1], undefined]); // As `kubectl replace --force`.
      this.#change(change);
      for (let count = this.#pick(3); count > 0; count--) this.#make();
      if (index < shuffled.length - 1) await this.world.pass(50 * this.#pick(4));
    }
    if (this.#pick(2) === 0) this.#make();
    this.#wanted = wanted;
  }

  /** A definition goes with its objects, and comes back without them, at times while no controller runs; somebody applies them later. */
  async #loseDefinition(): Promise<void> {
    const plural = needed[this.#pick(needed.length)] ?? "";
    const { served } = this.world.cluster;
    const versions = served.get(plural) ?? [];
    const lost = [...this.#objects.values()].filter(([of]) => of === plural);
    this.said.push(`the definition of ${plural} is gone`);
    const how = this.#pick(3);
    served.delete(plural);
    if (how === 0) await this.world.stop();
    for (const change of lost) this.#change([plural, change[1], undefined]);
    if (how === 0) {
      served.set(plural, versions);
      await this.#restart();
    } else {
      await this.#wait(1 + this.#pick(15));
      if (how === 1) await this.#restart();
      await this.#wait(this.#pick(15));
      served.set(plural, versions);
      await this.#wait(12);
      this.#list();
    }
    this.#make();
    await this.#rest();
    this.said.push(`objects of ${plural} are back`);
    for (const change of lost) this.#change(change);
    if (this.#pick(2) === 0) this.#make();
  }

  async #wait(rounds: number): Promise<void> {
    for (let round = 0; round < rounds; round++) await this.world.settle();
  }

  async #restart(): Promise<void> {
    this.said.push("restart");
    await this.world.restart();
    await this.world.pass(50);
    this.#list();
  }

  /** Kinds that are followed again are listed. */
  #list(): void {
    const followed = new Set(this.world.unsynced);
    for (const [plural, name, spec] of this.#objects.values()) if (followed.has(plural)) this.world.see(plural, name, spec ?? {});
    this.world.sync();
  }

  #change([plural, name, spec]: Change): void {
    if (spec === undefined) this.#objects.delete(`${plural} ${name}`);
    else this.#objects.set(`${plural} ${name}`, [plural, name, spec]);
    if (!this.world.follows(plural)) return;
    if (spec === undefined) this.world.forget(plural, name);
    else this.world.see(plural, name, spec);
  }

  #make(): void {
    const name = `s${this.#made++}`;
    this.said.push(`${name} is made`);
    this.world.cluster.put("services", service(name));
    this.#held.set(name, "");
  }

  /** All settles, and each Service is where the model has it. */
  async #rest(): Promise<void> {
    const ofBefore = [...this.#held.values()].filter((address) => address !== "").map(rangeOf);
    const ranges = new Set(this.#wanted.values());
    if (this.isWhole && ofBefore.every((range) => ranges.has(range))) this.#inForce = this.#wanted;
    await this.world.settle();
    const given = new Set(this.#inForce.values());
    for (const [name, before] of this.#held) {
      const [address = "none"] = this.world.cluster.service(`default/${name}`)?.ingress ?? [];
      if (before !== "") assert.equal(address, before, `${name} has another address`);
      else assert.ok(given.has(rangeOf(address)), `${name} has ${address}, of the ranges ${[...given]}`);
      this.#held.set(name, address);
    }
    const { pools = [], peers = [] } = parseConfiguration(this.world.lastGood ?? "").config ?? {};
    const found = pools.map(({ name, ranges, protocols }) => `${name} ${rangeOf(String(ranges[0]))} ${protocols.toSorted()}`);
    const expected = [...this.#inForce].map(([name, range]) => `${name} ${range} bgp,layer2`);
    assert.deepEqual([found.sort(), peers.length], [expected.sort(), 1]);
    this.said.push(`in force: ${JSON.stringify([...this.#inForce])}, held: ${JSON.stringify([...this.#held])}`);
  }

  /** No definition is away, nor objects that went with it. */
  get isWhole(): boolean {
    return needed.every((plural) => [...this.#objects.values()].some(([of]) => of === plural));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.world[Symbol.asyncDispose]();
  }
}

test(`Services get addresses of the pools that an edit ends with, and keep them, whatever happens meanwhile (${seeds} seeds from ${first})`, async () => {
  for (let seed = first; seed < first + seeds; seed++) {
    await using story = new Story(seed);
    try {
      await story.begin();
      for (let step = 0; step < 8; step++) await story.step();
    } catch (error) {
      assert.fail(`seed ${seed}: ${error instanceof Error ? error.message : error}\n${story.said.join("\n")}`);
    }
  }
});

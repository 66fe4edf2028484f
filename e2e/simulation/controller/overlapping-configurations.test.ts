// Scenario: many seeds.
import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import type { Random } from "#pkg/clock";
import { seededRandom } from "#pkg/clock/testing";
import { renumberAnnotation } from "#pkg/live-config";
import { startWorld, type World } from "../../../controller/testing/world.ts";
import { Model, type ModelPool } from "./model.ts";
import { forSeeds } from "./seeds.ts";

// Enough Services that another configuration is put in force in several turns, between which people go on.
const fillers = 450;
const names = ["a", "b", "c", "d"];
const block = (number: number): ModelPool => ({
  name: `main${number % 2}`,
  addresses: Array.from({ length: 8 }, (_, i) => `10.0.${number}.${i}`),
});
const filler = "- {name: filler, protocol: layer2, auto-assign: false, addresses: [10.9.0.0/22]}\n";
const configurations: readonly (readonly ModelPool[])[] = [[block(0)], [block(1)], [block(0), block(1)], [block(2)], []];

function yaml(pools: readonly ModelPool[]): string {
  const lines = pools.map(
    ({ name, addresses }) => `- {name: ${name}, protocol: layer2, addresses: [${addresses.join("/32, ")}/32]}\n`,
  );
  return `address-pools:\n${filler}${lines.join("")}`;
}

/** People who put one configuration in place while the one before is still being put in force. */
class People {
  readonly #random: Random;
  readonly #world: World;
  /** Whether a text since the last rest was one that may leave addresses in use without a pool. */
  #mayMove = false;

  constructor(random: Random, world: World) {
    this.#random = random;
    this.#world = world;
  }

  async hurry(): Promise<void> {
    const before = this.#addresses();
    this.#mayMove = false;
    const edited = new Set<string>();
    for (let changes = 1 + this.#pick(4); changes > 0; changes--) {
      if (this.#pick(5) > 0) this.#configure();
      else edited.add(this.#edit());
      for (let turns = this.#pick(4); turns > 0; turns--) await this.#turn();
    }
    await this.#world.settle();
    const after = this.#addresses();
    for (const [name, address] of before)
      if (!this.#mayMove && !edited.has(name) && address !== "") assert.equal(after.get(name), address, `${name} was moved`);
    this.#judge();
  }

  /** Checks that the Services have what the pools in force allow and demand. */
  #judge(): void {
    const inForce = this.#world.controller.view.configuration.inForce?.pools.map(
      ({ name, ranges }) => `${name} ${ranges[0]?.first}`,
    );
    const pools = [block(0), block(1), block(2)].filter(({ name, addresses }) => inForce?.includes(`${name} ${addresses[0]}`));
    const services = names.flatMap((name) => {
      const service = this.#world.cluster.service(`default/${name}`);
      if (service === undefined) return [];
      const wish = { families: [4] as const, pools: [], addresses: [], sharingKey: "", backend: "", ports: ["TCP 80"] };
      return [{ ...wish, key: service.key, has: service.ingress }];
    });
    assert.deepEqual(new Model(pools, services).faults(), []);
  }

  #configure(): void {
    const mayRenumber = this.#pick(2) === 0;
    this.#mayMove ||= mayRenumber;
    const annotations = mayRenumber ? { [renumberAnnotation]: "true" } : {};
    const text = this.#pick(6) === 0 ? "address-pools: [" : yaml(configurations[this.#pick(configurations.length)] ?? []);
    this.#world.config(text, annotations);
  }

  /** @returns who is another one now */
  #edit(): string {
    const name = names[this.#pick(names.length)] ?? "a";
    if (this.#world.cluster.service(`default/${name}`) === undefined) this.#world.service(name);
    else this.#world.delete(name);
    return name;
  }

  /** The controller handles a part of its view: the rest waits for the clock. */
  async #turn(): Promise<void> {
    this.#world.cluster.deliver();
    const { clock } = this.#world;
    if (this.#pick(4) === 0) clock.advanceBy(0);
    else if (this.#pick(2) === 0 && clock.pending()[0] === "next portions") clock.advanceToNext();
    await setImmediate();
  }

  #addresses(): ReadonlyMap<string, string> {
    return new Map(names.map((name) => [name, `${this.#world.cluster.service(`default/${name}`)?.ingress ?? ""}`]));
  }

  #pick(limit: number): number {
    return Math.floor(this.#random() * limit);
  }
}

forSeeds("configurations that follow one another fast leave Services what the last one allows and demands", 40, async (seed) => {
  const services = Object.fromEntries(
    Array.from({ length: fillers }, (_, i) => [`filler${i}`, { annotations: { "metallb.universe.tf/address-pool": "filler" } }]),
  );
  const world = await startWorld(yaml([block(0)]), { ...services, ...Object.fromEntries(names.map((name) => [name, {}])) });
  const people = new People(seededRandom(seed), world);
  for (let step = 0; step < 6; step++) await people.hurry();
});

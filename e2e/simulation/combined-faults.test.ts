// Scenario: many seeds.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { seededRandom } from "#pkg/clock/testing";
import "../../pkg/clock/testing/untracked-promises.ts";
import { keyOf } from "./cluster/api/objects.ts";
import { prefixOf } from "./cluster/simulated-cluster.ts";
import { exposeAll, type MendableFault, mendable, mixedConfiguration, nodeCount, textOf } from "./scenarios/combined-faults.ts";
import { World } from "./scenarios/world.ts";

/** `make scenarios` has time for this many; `make nightly` has others. */
const count = Number(process.env.COMBINED_SEEDS ?? 30);
const from = Number(process.env.COMBINED_FROM ?? 1);
// Until faults that last are told of, and conditions are written.
const restMs = 95_000;
// Until what is tried again seldom was tried.
const mendedMs = 60_000;

// A Service made meanwhile is known to no process that answers.
const noneSees = ["no-controller", "api-lost-on-speakers"];
// A restart of all speakers ends the hang of one of them.
const endHang = ["all-speakers-gone", "one-speaker-hangs"];

const faultOf = (name: string): MendableFault => mendable[name] ?? assert.fail(name);

/** A row of `ingotctl services -o json`. */
interface Row {
  readonly service: string;
  readonly verdict: { readonly state: string; readonly cause: string; readonly message: string };
}

interface ServiceObject {
  readonly spec: { readonly type: string };
  readonly status?: { readonly conditions?: readonly Condition[] };
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

/** Of which something false was said once. */
const known: readonly (readonly string[])[] = [
  // The last node that announces has lost the ring, too.
  ["one-speaker-gone", "ring-cut", "one-excluded"],
];

/** Some faults, of which no two break the same. */
function draw(seed: number): readonly string[] {
  const random = seededRandom(seed);
  const count = random() < 0.7 ? 2 : 3;
  const drawn: string[] = [];
  const names = Object.keys(mendable);
  while (drawn.length < count) {
    const name = names[Math.floor(random() * names.length)] ?? assert.fail();
    const { touches } = faultOf(name);
    const isFree = drawn.every((other) => other !== name && (touches === undefined || faultOf(other).touches !== touches));
    if (isFree && !endHang.every((one) => one === name || drawn.includes(one))) drawn.push(name);
  }
  return drawn;
}

/** A cluster with faults that come and go, and whoever looks at what is said of them. */
class Play {
  readonly #world: World;
  readonly #all: readonly string[];
  readonly #present: string[] = [];

  private constructor(world: World, all: readonly string[]) {
    this.#world = world;
    this.#all = all;
  }

  /** All of these faults are there at the same time, and are mended one after another. */
  static async run(names: readonly string[], seed: number): Promise<void> {
    const world = await World.start(mixedConfiguration, { seed, nodes: nodeCount });
    exposeAll(world);
    await world.cluster.pass(restMs);
    const play = new Play(world, names);
    await play.#looks();
    for (const name of names) {
      play.#present.push(name);
      faultOf(name).plant?.(world);
      play.#configure(name);
      await world.cluster.pass(500);
    }
    for (const next of seed % 2 === 0 ? names : names.toReversed()) {
      await world.cluster.pass(restMs);
      await play.#looks();
      play.#present.splice(play.#present.indexOf(next), 1);
      faultOf(next).mend?.(world);
      play.#configure(next);
    }
    await world.cluster.pass(restMs + mendedMs);
    await play.#looks();
    await play.#isForgotten();
  }

  /** The ConfigMap is what those who break and mend it have written. */
  #configure(changed: string): void {
    if (this.#present.includes("no-configmap")) return;
    if (faultOf(changed).edit !== undefined || changed === "no-configmap") this.#world.configure(textOf(this.#present));
  }

  async #looks(): Promise<void> {
    const { out } = await this.#world.tool("doctor");
    try {
      this.#doctorNames(out);
      await this.#isTrue();
    } catch (error) {
      throw new Error(`with ${this.#present.join(" and ") || "no fault"}: ${(error as Error).message}\n${out}`, { cause: error });
    }
  }

  /** Causes of faults that are there, of each that is alone; and no others. */
  #doctorNames(out: string): void {
    const present = this.#present.map(faultOf);
    // A configuration that is refused, and a node without the API, keep faults that somebody has mended since.
    const isKept = this.#present.some((name) => faultOf(name).touches === "text" || name.startsWith("api-lost"));
    const mayBe = isKept ? this.#all.map(faultOf) : present;
    const allowed = new Set<string>(mayBe.flatMap(({ causes }) => causes));
    const named = [...out.matchAll(/^(?:error|warning): .*\((\w+)(?:; of the first one)?\)$/gm)].map(([, cause = ""]) => cause);
    assert.deepEqual(
      [...new Set(named)].filter((cause) => !allowed.has(cause)),
      [],
      "causes of no fault that is there",
    );
    const [alone, ...others] = present;
    if (alone === undefined) assert.match(out, /^Nothing is wrong/);
    else if (others.length === 0) {
      const isNamed = alone.says?.test(out) ?? (alone.causes[0] !== undefined && named.includes(alone.causes[0]));
      assert.ok(isNamed, "the only fault is not named");
    } else if (present.some(({ says }) => says?.source !== ".*")) assert.doesNotMatch(out, /^Nothing is wrong/);
  }

  /** Verdicts and conditions agree with the wire and the router on each Service. */
  async #isTrue(): Promise<void> {
    const { out } = await this.#world.tool("services -A -o json");
    const { services } = JSON.parse(out) as { readonly services: readonly Row[] };
    const isAnyoneThere = services.length > 0 || !this.#present.includes("no-controller");
    for (const name of this.#names()) {
      const isAnswered = this.#isAnswered(name);
      const { state, message = "" } = services.find(({ service }) => service === keyOf(name))?.verdict ?? {};
      // In a large ring a list does not name the other node, which would know better.
      const isUntold = state === "Assigned" || message.startsWith("another node announces");
      const isUnknown = state === undefined && noneSees.every((fault) => this.#present.includes(fault));
      const isToldByAll = isAnyoneThere && !isUntold && !isUnknown && !this.#present.includes("one-speaker-hangs");
      if (isToldByAll)
        assert.equal(state === "Pending", !isAnswered, `${name}, answered: ${isAnswered}, is ${state}: ${message}`);
      const condition = this.#conditionsOf(name).find(({ type }) => type === "ingot.dev/Announced");
      if (this.#keepConditions || this.#world.addresses(name).length === 0) continue;
      const said = condition && `${condition.status} ${condition.reason}: ${condition.message}`;
      const isByUnaware = condition?.reason === "NoReadyEndpoint" && this.#isNamedUnaware(condition.message);
      assert.equal(condition?.status, isAnswered && !isByUnaware ? "True" : "False", `${name}, condition Announced=${said}`);
      // Each part of a ring that is cut names its own nodes.
      if (isAnswered || this.#all.includes("ring-cut")) continue;
      const events = this.#world.events(name, "notAnnounced");
      const told = condition?.message.split(/[;(]/)[0] ?? "";
      assert.ok(events.at(-1)?.includes(told), `${name}: the last Event says ${events.at(-1)}, and its condition ${said}`);
    }
  }

  /** It is said of the node without the API that it may go on with what was announced before. */
  #isNamedUnaware(message: string): boolean {
    return this.#present.includes("api-lost-on-one") && message.includes("that reaches the API, and may still be by node-0");
  }

  /** Conditions are those of before: nobody may write them, or two speakers that do not see each other know different parts. */
  get #keepConditions(): boolean {
    const isSplit = this.#present.includes("ring-cut") && this.#present.length > 1;
    return isSplit || this.#present.some((name) => faultOf(name).keepsConditions === true);
  }

  #names(): readonly string[] {
    const { api } = this.#world.cluster;
    const keys = api.keys("services").filter((key) => this.#object(key).spec.type === "LoadBalancer");
    return keys.map((key) => key.replace("default/", ""));
  }

  #object(key: string): ServiceObject {
    return this.#world.cluster.api.get("services", key) as unknown as ServiceObject;
  }

  #conditionsOf(name: string): readonly Condition[] {
    return this.#object(keyOf(name)).status?.conditions ?? [];
  }

  /** A node with a carrier answers for one of its addresses, or the router has a route. */
  #isAnswered(name: string): boolean {
    const { cluster } = this.#world;
    const routes = cluster.routing.isRunning ? cluster.router.routes() : new Map<string, string[]>();
    return this.#world.addresses(name).some((address) => {
      const owners = cluster.owners().get(address) ?? [];
      return routes.has(prefixOf(address)) || owners.some((node) => !cluster.machines.withoutCarrier.has(node));
    });
  }

  /** Nothing that stays claims a fault of before. */
  async #isForgotten(): Promise<void> {
    const { out } = await this.#world.tool("status");
    assert.match(out, /^Nothing is wrong\.$/m);
    for (const name of this.#names()) {
      const reasons = this.#conditionsOf(name).map(({ status, reason }) => `${status} ${reason}`);
      assert.deepEqual(reasons.toSorted(), ["True Announced", "True Assigned"], name);
      assert.doesNotMatch(this.#world.events(name).at(-1) ?? "", /^Warning/, name);
    }
    for (let node = 0; node < nodeCount; node++)
      assert.doesNotMatch(this.#world.described(`node/node-${node}`).split("\n").at(-1) ?? "", /^Warning/);
  }
}

suite("of faults that are there together nothing false is said, each comes up, and none is left once all are mended", () => {
  for (const name of Object.keys(mendable)) test(`${name} alone`, () => Play.run([name], 1));
  for (const names of known) test(names.join(", "), () => Play.run(names, 1));
  for (let seed = from; seed < from + count; seed++) {
    const names = draw(seed);
    test(`${names.join(", ")} (${seed})`, () => Play.run(names, seed));
  }
});

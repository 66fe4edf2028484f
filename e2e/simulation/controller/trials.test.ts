// Scenario: many seeds.
import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import type { Random } from "#pkg/clock";
import { seededRandom } from "#pkg/clock/testing";
import { parseConfig } from "#pkg/config";
import type { ObjectMeta } from "#pkg/k8s";
import { service } from "#pkg/k8s/testing";
import { renumberAnnotation } from "#pkg/live-config";
import { annotations } from "#pkg/service";
import type { Controller } from "../../../controller/controller.ts";
import { namespace, startWorld, type World } from "../../../controller/testing/world.ts";
import { reviewChange } from "../../../controller/webhook/review.ts";
import { forSeeds } from "./seeds.ts";

const namespaces = ["one", "two"];
const keys = namespaces.flatMap((name) => ["a", "b", "c"].map((each) => `${name}/${each}`));
const of = (labels: string) => `[{match-labels: {tenant: ${labels}}}]`;
const pool = (name: string, addresses: string, more = "") =>
  `- {name: ${name}, protocol: layer2, addresses: [${addresses}]${more}}\n`;
const lan = pool("lan", "10.0.0.0/31");
const both = (four: string, six: string) => `${four}, "${six}"`;
// The first ask for nothing but the ConfigMap; others for labels of namespaces, or for what speakers say of the network, or for both.
const texts = [
  lan,
  pool("lan", "10.0.0.0/30"),
  `${lan}${pool("tenants", "10.1.0.0/31", `, namespace-selectors: ${of("x")}`)}`,
  `${lan}${pool("strict", "10.2.0.0/31", ", conflict-probe: strict")}`,
  pool("lan", "10.0.0.0/30", ", conflict-probe: strict"),
  `${pool("strict", "10.2.0.0/31", `, conflict-probe: strict, namespace-selectors: ${of("y")}`)}${pool("lan", "10.0.0.0/30")}`,
  `${lan}quotas:\n- {namespace-selectors: ${of("x")}, pools: [lan], ipv4: 1}\n`,
  pool("other", "10.9.0.0/30"),
  pool("lan", both("10.0.0.0/31", "fd00:a0::/127")),
  pool("lan", both("10.0.0.0/30", "fd00:a0::/127"), ", sharing: none"),
  `${lan}${pool("strict", both("10.2.0.0/31", "fd00:a2::/127"), ", conflict-probe: strict")}`,
  `${pool("lan", both("10.0.0.0/31", "fd00:a0::/127"), ", sharing: namespace")}quotas:\n- {namespace-selectors: ${of("x")}, pools: [lan], ipv6: 1}\n`,
  `${pool("lan", "10.0.0.0/30", ", closed: true")}${pool("strict", "10.2.0.0/31", ", priority: 1")}`,
  `${pool("lan", "10.0.0.0/31", ", reserved: [{addresses: [10.0.0.0], service: one/a}, 10.0.0.1]")}${pool("strict", both("10.2.0.0/31", "fd00:a0::/127"), ", auto-assign: false")}`,
].map((text) => `address-pools:\n${text}`);
const occupiable = ["10.0.0.1", "10.0.0.2", "10.2.0.0", "fd00:a2::"];

/** Somebody changes the cluster, then has a configuration tried, by the controller at work and by one that stands by and has decided nothing. */
type Notes = Readonly<Record<string, string>>;

class Trials {
  readonly #random: Random;
  readonly #world: World;
  #text = texts[0] ?? "";

  constructor(random: Random, world: World) {
    this.#random = random;
    this.#world = world;
    for (const name of namespaces) this.#label(name);
  }

  async step(): Promise<void> {
    for (let count = this.#pick([0, 1, 2, 3]); count > 0; count--) this.#act();
    await this.#world.settle();
    // By then what is reported counts, or does not for good.
    this.#world.clock.advanceBy(60_000);
    await this.#world.settle();
    if (this.#random() < 0.1) {
      await this.#world.restart();
      await this.#world.settle();
    }
    const text = this.#pick(texts);
    const notes = this.#random() < 0.3 ? { [renumberAnnotation]: "true" } : {};
    const expected = await this.#review(this.#world.controller, text, notes);
    const standby = this.#world.startStandby();
    assert.deepEqual(await this.#review(standby, text, notes), expected, "what a standby says");
    await standby[Symbol.asyncDispose]();
    if (this.#random() < 0.5) await this.#apply(text, notes, expected);
  }

  /** Puts it in place: what was said is what happens. */
  async #apply(text: string, notes: Notes, warnings: readonly string[]): Promise<void> {
    const { cluster, controller } = this.#world;
    const before = new Map(keys.map((key) => [key, cluster.service(key)?.ingress.join(", ")]));
    const inForce = controller.view.configuration.inForce;
    this.#world.config(text, notes);
    await this.#world.settle();
    const isStranding = warnings.some((warning) => warning.startsWith("not used until"));
    const isUsed = controller.view.configuration.verdict.cause === "inForce";
    assert.equal(isUsed, !isStranding, warnings.join("\n"));
    if (!isUsed) assert.equal(controller.view.configuration.inForce, inForce);
    else this.#text = text;
    const moves = (isUsed ? warnings : []).filter((warning) => /addresses:|an address:/.test(warning)).join("\n");
    for (const [key, had] of before) {
      const has = cluster.service(key)?.ingress.join(", ");
      const move = had && has ? `${had} to ${has}` : had || has;
      if (has !== had) assert.ok(moves.includes(`${key} (${move})`), `${key} had ${had} and has ${has}; said was: ${moves}`);
      else assert.ok(!moves.includes(key), `${key} has ${has} still; said was: ${moves}`);
    }
    if (!isUsed) this.#world.config(this.#text);
    await this.#world.settle();
  }

  async #review(controller: Controller, after: string, notes: Notes): Promise<readonly string[]> {
    const { clock } = this.#world;
    const before = { config: this.#text };
    const request = { uid: "1", namespace, name: "config", data: { config: after }, annotations: notes, before };
    const verdict = reviewChange(
      request,
      {
        namespace,
        configMap: "config",
        reader: { read: (text, done) => done(parseConfig(text)) },
        terms: { controller },
      },
      { now: () => clock.now(), deadline: clock.now() + 2_000, nextTurn: () => setImmediate() },
    );
    await setImmediate();
    await this.#world.settle();
    const { allowed, warnings } = await verdict;
    assert.ok(allowed);
    return warnings;
  }

  #act(): void {
    const { cluster } = this.#world;
    const dice = this.#random();
    const key = this.#pick(keys);
    if (dice < 0.15) this.#label(this.#pick(namespaces));
    else if (dice < 0.35) this.#world.occupied(...occupiable.filter(() => this.#random() < 0.4));
    else if (dice < 0.5) cluster.remove("services", key);
    else {
      const before = cluster.service(key);
      const { ingress = [], uid = key, created = Math.floor(this.#random() * 3) } = before ?? {};
      // The first family of a Service cannot change.
      const clusterIPs = before?.clusterIPs ?? this.#pick([["10.96.0.1"], ["10.96.0.1"], ["fd96::1"], ["10.96.0.1", "fd96::1"]]);
      const shared = this.#random() < 0.4 ? { [annotations.sharing]: this.#pick(["k", "l"]) } : {};
      const ports = [{ name: "", protocol: "TCP" as const, port: this.#pick([80, 81, 82]) }];
      const mayWant = clusterIPs.join() === "10.96.0.1";
      const wanted = mayWant && this.#random() < 0.25 ? this.#pick(["10.0.0.0", "10.0.0.1", "10.2.0.0"]) : "";
      const named =
        wanted === "" && this.#random() < 0.3
          ? { [annotations.pool]: this.#pick(["lan", "strict", "tenants", "lan,strict", "lan,lan"]) }
          : {};
      const asked = {
        prefersDualStack: this.#random() < 0.5,
        loadBalancerIP: wanted,
        annotations: { ...named, ...shared },
        clusterIPs,
        ports,
      };
      cluster.put("services", service(key, { ingress, uid, created, ...asked }));
    }
  }

  #label(name: string): void {
    const labels = this.#pick([{}, { tenant: "x" }, { tenant: "y" }]) as Readonly<Record<string, string>>;
    this.#world.cluster.put("namespaces", { key: name, name, uid: name, resourceVersion: "1", labels } as unknown as ObjectMeta);
  }

  #pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.#random() * items.length)] as T;
  }
}

forSeeds("what the webhook says of a configuration a standby says too, and it is what happens", 100, async (seed) => {
  const world = await startWorld(texts[0]);
  const trials = new Trials(seededRandom(seed), world);
  for (let step = 0; step < 15; step++) await trials.step();
});

// Scenario: many seeds.
import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "#pkg/clock/testing";
import { startWorld } from "../../../controller/testing/world.ts";
import { Answers } from "./answers.ts";
import { Model, type ModelPool, type ModelQuota, type ModelService } from "./model.ts";
import { forSeeds } from "./seeds.ts";
import { block, type Configuration, Story, yaml } from "./story.ts";

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
    {
      name: "gold",
      addresses: block(1, 3, 1),
      autoAssign: false,
      reserved: [
        { address: "10.0.1.0", service: "default/a" },
        { address: "10.0.1.1", namespace: "team" },
        { address: "fd00:a1::1", namespace: "team" },
      ],
    },
    { name: "main", addresses: block(0, 1, 1) },
  ],
  [
    { name: "main", addresses: block(0, 3, 3), sharing: "namespace" },
    { name: "team", addresses: block(2, 2), namespaces: ["team"] },
  ],
  [
    { name: "main", addresses: block(0, 3, 2), isStrict: true },
    { name: "gold", addresses: block(1, 2), isStrict: true, sharing: "namespace" },
  ],
  [
    { name: "main", addresses: block(0, 4, 3), reserved: [{ address: "10.0.0.0" }, { address: "fd00:a0::1" }] },
    { name: "gold", addresses: block(1, 2), closed: true },
    { name: "alone", addresses: block(3, 1), sharing: "none" },
  ],
];
const configurations: readonly Configuration[] = poolLists.flatMap((pools) => quotas.map((each) => ({ pools, quotas: each })));

const occupiable = [...block(0, 2, 1), ...block(1, 1)];

forSeeds("the controller does what the plain model allows and demands, whatever people ask for", 200, async (seed) => {
  const [first = { pools: [], quotas: [] }] = configurations;
  const world = await startWorld(yaml(first));
  const story = new Story(seededRandom(seed), world, { configurations, first, occupiable });
  for (let step = 0; step < 60; step++) await story.step();
});

/** Kinds of decisions that the configurations above bring about, by subject. */
const answered = {
  configuration: ["inForce", "strands"],
  pool: ["available", "full"],
  service: [
    ...["assigned", "autoAssignOff", "backendKeyMismatch", "inUse", "noPoolFits", "notAllowed", "notForNamespace"],
    ...["outsidePools", "poolClosed", "poolFull", "poolLacksFamily", "portClash", "quotaExceeded", "reserved"],
    ...["sharingKeyMismatch", "unknownPool"],
  ],
};

test("each kind of decision was made, and was in an answer under /v1", { skip: process.env.MODEL_SEEDS !== undefined }, () => {
  const wanted = Object.entries(answered).flatMap(([subject, causes]) => causes.map((cause) => `${subject} ${cause}`));
  assert.deepEqual([...Answers.kinds].filter((kind) => wanted.includes(kind)).sort(), wanted.sort());
});

test("the model finds what is beyond a quota, and does not demand it", () => {
  const asks = { families: [4] as const, pools: [], addresses: [], sharingKey: "", backend: "", ports: ["TCP 80"] };
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
  const asks = { families: [4] as const, sharingKey: "", backend: "", ports: ["TCP 80"], key: "default/a" };
  const pools = ["main", "gold"].map((name, i) => ({ name, addresses: [`10.0.${i}.0`] }));
  const faults = (service: Pick<ModelService, "pools" | "addresses" | "has">) =>
    new Model(pools, [{ ...asks, ...service }]).faults();
  assert.deepEqual(faults({ pools: ["main", "gold"], addresses: [], has: ["10.0.0.0", "10.0.1.0"] }), []);
  assert.match(faults({ pools: ["main", "gold"], addresses: [], has: ["10.0.0.0"] }).join(), /could have all/);
  assert.match(faults({ pools: [], addresses: ["10.0.1.0", "10.0.0.0"], has: ["10.0.0.0"] }).join(), /could have all/);
  assert.match(faults({ pools: ["gold"], addresses: [], has: ["10.0.0.0", "10.0.1.0"] }).join(), /not in one pool/);
});

test("the model finds an address that two have, one that is in no pool, one that somebody waits for in vain, and pools that strand", () => {
  const asks = { families: [4] as const, pools: [], addresses: [], sharingKey: "", backend: "", ports: ["TCP 80"] };
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

// Scenario: many pairs.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import "../../pkg/clock/testing/untracked-promises.ts";
import { exposeAll, type MendableFault, mendable, mixedConfiguration, nodeCount, textOf } from "./scenarios/combined-faults.ts";
import { World } from "./scenarios/world.ts";

/** `make scenarios` has time for this many of some 750; `make simulate` has more. */
const count = Number(process.env.FAULT_PAIRS ?? 20);
const from = Number(process.env.FAULT_PAIRS_FROM ?? 1);
// Until faults that last are told of.
const restMs = 95_000;

const edits = Object.keys(mendable).filter((name) => mendable[name]?.edit !== undefined);
const requests = [
  ...["unknown-pool", "full-family", "quota", "address-outside", "pool-of-others", "address-in-use", "sharing-key"],
  ...["two-ways", "external-ips", "status-refused"],
];
const ofNodes = ["one-excluded", "all-excluded", "one-drained", "cordoned", "out-of-service", "node-selectors"];
const ofNodeTwo = ["cordoned", "ring-cut", "unplugged"];
const ofSpeakers = ["reports-refused", "ring-cut", "unplugged", "router-cut-from-one", "router-gone"];
const ofEndpoints = ["no-endpoints", "routed-no-endpoints"];
const nobodyLooks = "no node announces the address, and none looks for another host that has it";
const notInForce = "the configuration that has the fault is not in force";

/** Faults that another one hides while it is there. */
interface Hidden {
  readonly by: string;
  readonly faults: readonly string[];
  readonly why: string;
  /** They end with the other one. Else each of them is named afterwards. */
  readonly isOver?: boolean;
}

const hidden: readonly Hidden[] = [
  { by: "no-controller", faults: requests, why: "nobody judges what Services ask for" },
  {
    by: "all-speakers-gone",
    faults: [...ofNodes, ...ofSpeakers, ...ofEndpoints, "duplicate", "peer-asn", "no-peer", "selects-nobody", "wrong-interface"],
    why: "only speakers see it",
  },
  {
    by: "api-lost-on-speakers",
    faults: [...ofNodes, ...ofEndpoints, "reports-refused", "peer-asn", "no-peer", "selects-nobody", "wrong-interface"],
    why: "no speaker has heard of it",
  },
  { by: "all-speakers-gone", faults: ["one-speaker-hangs"], why: "the speaker that hung has ended", isOver: true },
  { by: "one-speaker-gone", faults: ["one-drained", "router-cut-from-one"], why: "only the speaker of that node says it" },
  { by: "one-speaker-hangs", faults: ofNodeTwo, why: "only the speaker of that node says it" },
  { by: "unplugged", faults: ["ring-cut"], why: "the ring of that node needs the same NIC" },
  { by: "no-endpoints", faults: ["duplicate"], why: nobodyLooks },
  { by: "all-excluded", faults: ["duplicate"], why: nobodyLooks },
  { by: "selects-nobody", faults: ["duplicate"], why: nobodyLooks },
  { by: "ring-cut", faults: ["duplicate"], why: "two speakers have the address, and each takes the other for the rival" },
  { by: "all-excluded", faults: ["no-peer", "wrong-interface"], why: "with peers and interfaces no node would announce more" },
  { by: "no-peer", faults: ["router-cut-from-one"], why: "there is no session with the router" },
  { by: "router-gone", faults: ["peer-asn"], why: "a router that is gone tells nobody its ASN" },
  ...["unknown-field", "strands", "no-configmap"].map((by) => ({ by, faults: edits, why: notInForce })),
];

function hiding(name: string, by: string): Hidden | undefined {
  return hidden.find((one) => one.by === by && one.faults.includes(name));
}

const faultOf = (name: string): MendableFault => mendable[name] ?? assert.fail(name);

/** Whether it is visible by itself that the fault is there. */
function isVisible(name: string): boolean {
  const { causes, says } = faultOf(name);
  return causes.length > 0 || says?.source !== ".*";
}

/** All pairs that can be there together, in an order in which neighbours have little in common. */
function allPairs(): (readonly [string, string])[] {
  const names = Object.keys(mendable).filter(isVisible);
  const pairs = names.flatMap((one, place) => names.slice(place + 1).map((other) => [one, other] as const));
  const possible = pairs.filter(([one, other]) => {
    const { touches } = faultOf(one);
    return touches === undefined || touches !== faultOf(other).touches;
  });
  const stride = 383; // A prime that does not divide their number.
  assert.notEqual(possible.length % stride, 0);
  return possible.map((_, place) => possible[(place * stride) % possible.length] ?? assert.fail());
}

function causesIn(out: string): string[] {
  return [...out.matchAll(/^(?:error|warning): .*\((\w+)(?:; of the first one)?\)$/gm)].map(([, cause = ""]) => cause);
}

/** Whether the text names the fault, by its words or by a cause that the other one does not have. */
function isNamed(out: string, name: string, other?: string): boolean {
  const { says, causes } = faultOf(name);
  const [first] = causes;
  const others: readonly string[] = other === undefined ? [] : faultOf(other).causes;
  const own = causes.filter((cause) => cause === first || !others.includes(cause));
  const isSaid = says !== undefined && says.source !== ".*" && says.test(out);
  return isSaid || own.some((cause) => causesIn(out).includes(cause));
}

/** The ConfigMap is what those who break and mend it have written. */
function configure(world: World, present: readonly string[]): void {
  if (!present.includes("no-configmap")) world.configure(textOf(present));
}

async function doctor(world: World): Promise<string> {
  await world.cluster.pass(restMs);
  return (await world.tool("doctor")).out;
}

async function examine(pair: readonly [string, string]): Promise<void> {
  const world = await World.start(mixedConfiguration, { seed: 1, nodes: nodeCount });
  exposeAll(world);
  await world.cluster.pass(restMs);
  for (const name of pair) faultOf(name).plant?.(world);
  configure(world, pair);
  const out = await doctor(world);
  const allowed = new Set<string>(pair.flatMap((name) => faultOf(name).causes));
  assert.deepEqual(
    causesIn(out).filter((cause) => !allowed.has(cause)),
    [],
    `causes of neither fault\n${out}`,
  );
  const [one, other] = pair;
  for (const [name, by] of [pair, [other, one]] as const) {
    const found = hiding(name, by);
    if (found === undefined) {
      assert.ok(isNamed(out, name, by), `${name} is not named\n${out}`);
      continue;
    }
    assert.ok(isNamed(out, by), `${by} is not named, which hides ${name}: ${found.why}\n${out}`);
    if (found.isOver === true) continue;
    faultOf(by).mend?.(world);
    configure(world, [name]);
    const after = await doctor(world);
    assert.ok(isNamed(after, name), `${name} is not named once ${by} is mended\n${after}`);
  }
}

suite("of two faults doctor names both, or the one that hides the other, and nothing false", () => {
  const pairs = allPairs();
  for (let place = from; place < from + Math.min(count, pairs.length); place++) {
    const pair = pairs[place % pairs.length] ?? assert.fail();
    test(`${pair.join(" and ")} (${place})`, () => examine(pair));
  }
});

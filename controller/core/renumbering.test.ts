import assert from "node:assert/strict";
import { test } from "node:test";
import { renumberAnnotation } from "#pkg/live-config";
import { annotations } from "#pkg/service";
import { configText, startWorld } from "../testing/world.ts";

const config = "metallb-system/config";
const allowed = { [renumberAnnotation]: "true" };
const before = configText("old 10.0.0.0-10.0.0.9", "other 10.9.0.0-10.9.0.9");
const after = configText("new 10.1.0.0-10.1.0.9", "other 10.9.0.0-10.9.0.9");
const inPool = (pool: string) => ({ annotations: { [annotations.pool]: pool } });

test("with the annotation a change moves exactly those Services whose addresses have no pool any more, and events name them first", async () => {
  const world = await startWorld(before, { a: {}, b: inPool("other"), c: { ...inPool("old") } });
  assert.deepEqual(world.addresses("a", "b", "c"), ["a=10.0.0.0", "b=10.9.0.0", "c=10.0.0.1"]);
  world.config(after, allowed);
  assert.deepEqual(await world.settle(), [
    `${config}: Normal ConfigLoaded: configuration loaded; these get other addresses, as ${renumberAnnotation} allows: ` +
      "default/a (10.0.0.0), default/c (10.0.0.1)",
    'default/a: Warning ClearAssignment: Released ["10.0.0.0"]: address 10.0.0.0 is in no pool; request another address or add this one to a pool',
    'default/c: Warning ClearAssignment: Released ["10.0.0.1"]: address 10.0.0.1 is in no pool; request another address or add this one to a pool',
    'default/c: Warning AllocationFailed: Failed to allocate IP for "default/c": there is no pool "old", only "new", "other"; ' +
      `correct the annotation ${annotations.pool} or add the pool`,
    "metallb-system/ingot-status: written",
    "default/a: status 10.1.0.0",
    'default/a: Normal IPAllocated: Assigned IP ["10.1.0.0"]',
    "default/c: status cleared",
  ]);
  assert.deepEqual(world.addresses("a", "b", "c"), ["a=10.1.0.0", "b=10.9.0.0", "c="]);
});

test("a change that was refused is accepted when it is allowed, and not by any other value", async () => {
  const world = await startWorld(before, { a: {} });
  world.config(after, { [renumberAnnotation]: "yes" });
  assert.match((await world.settle()).join(), /ConfigStale: .*default\/a \(10\.0\.0\.0\)/);
  world.config(after, allowed);
  assert.match((await world.settle()).join(), /ConfigLoaded: .*default\/a \(10\.0\.0\.0\)/);
  assert.deepEqual(world.addresses("a"), ["a=10.1.0.0"]);
});

test("a text without the annotation that comes before all addresses are given up for one with it takes effect, and they are given up", async () => {
  const others = Object.fromEntries(Array.from({ length: 450 }, (_, i) => [`other${i}`, inPool("many")]));
  const config = (...pools: string[]) => configText(...pools, "many 10.8.0.0-10.8.1.255");
  const world = await startWorld(config("old 10.0.0.0-10.0.0.9"), { a: {}, ...others });
  world.config(config("new 10.1.0.0-10.1.0.9"), allowed);
  world.cluster.deliver();
  while (!/default\/a \(10\.0\.0\.0\)/.test(world.cluster.transcript.join())) assert.ok(world.clock.advanceToNext());
  world.config(config("third 10.2.0.0-10.2.0.9"));
  await world.settle();
  assert.deepEqual(world.addresses("a", "other0"), ["a=10.2.0.0", "other0=10.8.0.0"]);
  assert.equal(world.controller.view.refused, undefined);
});

test("of several addresses only the one without a pool goes", async () => {
  const both = inPool("old,other");
  const world = await startWorld(before, { a: both });
  assert.deepEqual(world.addresses("a"), ["a=10.0.0.0+10.9.0.0"]);
  world.config(after, allowed);
  await world.settle();
  assert.deepEqual(world.addresses("a"), ["a=10.9.0.0"]);
  world.change("a", inPool("new,other"));
  await world.settle();
  assert.deepEqual(world.addresses("a"), ["a=10.1.0.0+10.9.0.0"]);
});

test("a controller that starts anew in the middle comes to the same", async () => {
  const world = await startWorld(before, { a: {}, b: inPool("other") });
  world.config(after, allowed);
  await world.restart();
  await world.settle();
  assert.deepEqual(world.addresses("a", "b"), ["a=10.1.0.0", "b=10.9.0.0"]);
});

test("with closed, both pools and then the new one alone, nobody is without an address for a moment", async () => {
  const closed =
    before.replace("- name: old\n", "- name: old\n  closed: true\n") +
    after.slice(after.indexOf("- name: new"), after.indexOf("- name: other"));
  const world = await startWorld(before, { a: {} });
  world.config(closed);
  await world.settle();
  assert.deepEqual(world.addresses("a"), ["a=10.0.0.0"], "it keeps what it has");
  world.change("a", inPool("new,old"));
  await world.settle();
  assert.deepEqual(world.addresses("a"), ["a=10.1.0.0+10.0.0.0"]);
  world.change("a", inPool("new"));
  await world.settle();
  assert.deepEqual(world.addresses("a"), ["a=10.1.0.0"]);
  world.config(after);
  const [loaded] = await world.settle();
  assert.equal(loaded, `${config}: Normal ConfigLoaded: configuration loaded`, "nothing is in its way");
});

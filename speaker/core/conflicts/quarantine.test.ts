import assert from "node:assert/strict";
import { test } from "node:test";
import { PoolIndex, parseConfig } from "#pkg/config";
import { elect, placeNowhere } from "#pkg/placement";
import { ConflictBench, first, x } from "../../testing/conflict-bench.ts";

const nodes = ["node1", "node2"];
const inspector = elect(nodes, x) ?? "";
const other = nodes.find((node) => node !== inspector) ?? "";

test("an address counts as another host's as soon and as long as the ConfigMap says so", () => {
  const bench = new ConflictBench("node1");
  bench.setOccupants({ "192.0.2.1": "" });
  assert.deepEqual([...bench.state.conflicts.occupants.keys()], ["192.0.2.1"]);
  bench.setOccupants({});
  assert.equal(bench.state.conflicts.occupants.size, 0);
});

test("each minute one speaker probes three times, and takes it out when nobody answers", () => {
  const bench = new ConflictBench(inspector);
  bench.setOccupants({ "192.0.2.1": "" });
  bench.clock.advanceBy(59_000);
  assert.deepEqual(bench.take(), []);
  bench.clock.advanceBy(2_000);
  assert.deepEqual(bench.take(), [`listen ${x}`, ...Array(3).fill(`probe all for ${x}`), `withdraw ${x}`]);
  assert.deepEqual(bench.written, [`${x} free`]);
});

test("it stays in while somebody answers, and one that only probes too does not count", () => {
  const bench = new ConflictBench(inspector);
  bench.setOccupants({ "192.0.2.1": "" });
  for (let minute = 1; minute <= 3; minute++) {
    bench.clock.advanceTo(60_000 * minute);
    bench.sight("foreign", "probes");
    assert.deepEqual(bench.take(), [`listen ${x}`, `probe all for ${x}`]);
    bench.sight("foreign", "uses");
    bench.clock.advanceBy(1000);
    assert.deepEqual(bench.take(), [`withdraw ${x}`]);
  }
  assert.deepEqual(bench.written, []);
});

test("the node that saw the host probes, as long as it is there", () => {
  const [seer, elected] = [new ConflictBench(other), new ConflictBench(inspector)];
  for (const bench of [seer, elected]) {
    bench.setOccupants({ "192.0.2.1": JSON.stringify({ node: other }) });
    bench.clock.advanceTo(60_000);
  }
  assert.deepEqual([seer.take().length, elected.take().length], [2, 0]);
});

test("a node whose interfaces have no carrier takes nothing out: its probes would reach nobody", () => {
  for (const lostAt of [0, 60_100]) {
    const bench = new ConflictBench(inspector);
    bench.setOccupants({ "192.0.2.1": JSON.stringify({ node: inspector }) });
    bench.clock.advanceTo(lostAt);
    bench.setCarrier(false);
    bench.clock.advanceTo(70_000);
    assert.equal(bench.take().at(-1), lostAt === 0 ? undefined : `withdraw ${x}`);
    bench.clock.advanceTo(600_000);
    assert.deepEqual([bench.take(), bench.written], [[], []]);
    bench.setCarrier(true);
    bench.clock.advanceBy(62_000);
    assert.deepEqual(bench.written, [`${x} free`]);
  }
});

for (const { name, subnet } of [
  { name: "one that cannot probe", subnet: undefined },
  { name: "one in another subnet", subnet: "198.51.100.0/24" },
])
  test(`in place of ${name} another node probes`, () => {
    const [elected, near] = [new ConflictBench(inspector), new ConflictBench(other)];
    ConflictBench.connect(elected, near);
    for (const bench of [elected, near]) bench.participate();
    elected.setCarrier(subnet !== undefined, subnet);
    for (const bench of [elected, near]) {
      bench.setOccupants({ "192.0.2.1": "" });
      bench.clock.advanceTo(62_000);
    }
    assert.deepEqual([elected.written, near.written], [[], [`${x} free`]]);
  });

test("it is probed on the interface that this node knows by another name than the pool does", () => {
  const bench = new ConflictBench(inspector);
  const text = `address-pools: [{name: lan, protocol: layer2, interfaces: ["can_reach:203.0.113.9"], addresses: [192.0.2.0/24]}]`;
  const config = parseConfig(text).config ?? assert.fail();
  bench.state.config = { config, pools: new PoolIndex(config.pools) };
  const interfaces = new Map([["can_reach:203.0.113.9", []]]);
  bench.state.carriers.reachability = { answers: true, hasKernelAccess: true, interfaces };
  bench.state.carriers.routes = new Map([["203.0.113.9", "eth9"]]);
  bench.setOccupants({ "192.0.2.1": "" });
  bench.clock.advanceTo(60_000);
  assert.equal(bench.take()[0], `listen ${x} on eth9`);
});

test("it is probed where the pool's entry for its Services announces it, and by no node that has no interface for that", () => {
  const bench = new ConflictBench(inspector);
  const text = `address-pools: [{name: lan, protocol: layer2, layer2-advertisements: [{interfaces: [eth9]}], addresses: [192.0.2.0/24]}]`;
  const config = parseConfig(text).config ?? assert.fail();
  bench.state.config = { config, pools: new PoolIndex(config.pools) };
  bench.state.placements.set(x.toString(), [{ ...placeNowhere(x, [], "lan"), isOwned: true, entry: 0 }]);
  const setInterface = (name: string) => {
    bench.state.carriers.reachability = { answers: true, hasKernelAccess: true, interfaces: new Map([[name, []]]) };
  };
  setInterface("eth0");
  bench.setOccupants({ "192.0.2.1": JSON.stringify({ node: inspector }) });
  bench.clock.advanceTo(110_000);
  assert.deepEqual([bench.take(), bench.written], [[], []]);
  setInterface("eth9");
  bench.clock.advanceBy(20_000);
  assert.deepEqual([bench.take()[0], bench.written], [`listen ${x} on eth9`, [`${x} free`]]);
});

test("another node does not probe, and the elected one stops when somebody took it out", () => {
  const idle = new ConflictBench(other);
  idle.setOccupants({ "192.0.2.1": "" });
  idle.clock.advanceBy(600_000);
  assert.deepEqual(idle.take(), []);
  const bench = new ConflictBench(inspector);
  bench.setOccupants({ "192.0.2.1": "" });
  bench.clock.advanceTo(60_000);
  bench.setOccupants({});
  bench.clock.advanceBy(10_000);
  assert.deepEqual(bench.take(), [`listen ${x}`, `probe all for ${x}`, `withdraw ${x}`]);
  assert.deepEqual(bench.written, []);
});

test("after its end nothing is probed", () => {
  const bench = new ConflictBench(inspector);
  bench.setOccupants({ "192.0.2.1": "" });
  bench.runner[Symbol.dispose]();
  bench.clock.advanceBy(600_000);
  assert.deepEqual(bench.take(), []);
});

test("a speaker that announces the address does not count as a host that has it, and goes on announcing", () => {
  const bench = new ConflictBench(inspector);
  bench.announce();
  bench.setOccupants({ "192.0.2.1": "" });
  bench.clock.advanceTo(59_000);
  bench.take();
  bench.clock.advanceTo(60_000);
  bench.sight(other, "uses");
  bench.clock.advanceBy(1_000);
  assert.deepEqual(bench.take(), Array(3).fill(`probe all for ${x}`));
  assert.deepEqual(bench.written, [`${x} free`]);
});

test("the entry names the node that the address has moved to, once that sees the host, too, however many entries there are", () => {
  for (const others of [0, 999]) {
    const bench = new ConflictBench("node1");
    const more = Array.from({ length: others }, (_, i) => [`10.0.${i >> 8}.${i & 255}`, ""]);
    bench.setOccupants({ [x.toString()]: JSON.stringify({ mac: "foreign", node: "node2" }), ...Object.fromEntries(more) });
    bench.announce();
    assert.equal(bench.written.length, 0);
    const entry = { mac: "foreign", node: "node1", interface: "eth0" };
    bench.sight("foreign", "uses");
    assert.deepEqual(bench.written, [`${x} ${JSON.stringify(entry)}`]);
    bench.setOccupants({ [x.toString()]: JSON.stringify(entry), ...Object.fromEntries(more) });
    for (let minute = 0; minute < 3; minute++) {
      bench.clock.advanceBy(60_100);
      bench.sight("foreign", "uses");
    }
    assert.equal(bench.written.filter((text) => text.startsWith(`${x} `)).length, 1);
  }
});

test("beyond 1,000 entries an address is kept back on this node alone, and announced when nobody answers for it any more", () => {
  const bench = new ConflictBench("node1");
  const entries = Array.from({ length: 1_000 }, (_, i) => [
    `10.0.${i >> 8}.${i & 255}`,
    JSON.stringify({ mac: "another", node: other }),
  ]);
  bench.setOccupants(Object.fromEntries(entries));
  bench.announce(first);
  bench.sight("foreign", "uses");
  bench.clock.advanceBy(59_000);
  assert.deepEqual([bench.noted, bench.written], [["occupied foreign"], []]);
  assert.ok(!bench.take().includes(`announce ${x}`));
  bench.clock.advanceBy(5_000);
  assert.ok(bench.take().includes(`announce ${x}`));
});

test("an address whose entry somebody prunes is probed at once, and announced unless the host still answers", () => {
  for (const answers of [true, false]) {
    const bench = new ConflictBench("node1");
    bench.announce(first);
    bench.sight("foreign", "uses");
    assert.equal(bench.written.length, 1);
    bench.setOccupants({ [x.toString()]: JSON.stringify({ mac: "foreign", node: "node1" }) });
    bench.setOccupants({ "192.0.2.9": "" });
    if (answers) bench.clock.advanceBy(100);
    if (answers) bench.sight("foreign", "uses");
    bench.clock.advanceBy(10_000);
    assert.equal(bench.take().includes(`announce ${x}`), !answers);
    // The controller and people have to know that the host is still there; it was reported before.
    assert.deepEqual([bench.written.length, bench.noted], [answers ? 2 : 1, ["occupied foreign"]]);
  }
});

for (const conflictProbe of ["report", "off"] as const) {
  const lenient = { ...first, conflictProbe };
  test(`an address that a host keeps back is announced once its pool says ${conflictProbe}, and the host is a conflict`, () => {
    for (const isWritten of [true, false]) {
      const bench = new ConflictBench("node1");
      bench.announce(first);
      bench.sight("foreign", "uses");
      if (isWritten) bench.setOccupants({ [x.toString()]: JSON.stringify({ mac: "foreign", node: "node1" }) });
      bench.take();
      bench.announce({ ...lenient, isFirst: false });
      const begun = bench.take();
      bench.clock.advanceBy(1_000);
      const probes = [...begun, ...bench.take()].filter((effect) => effect.startsWith("probe"));
      assert.deepEqual([begun.includes(`announce ${x}`), probes.length], [true, conflictProbe === "report" ? 3 : 0]);
      bench.sight("foreign", "uses");
      bench.clock.advanceBy(120_000);
      assert.deepEqual(bench.noted.slice(0, 2), ["occupied foreign", "began foreign"]);
      assert.equal(bench.state.conflicts.defended.get(x.toString())?.isAnnounced, true);
    }
  });

  test(`an entry keeps no address of a pool with ${conflictProbe} back, whoever answers for it`, () => {
    const bench = new ConflictBench("node1");
    bench.setOccupants({ [x.toString()]: JSON.stringify({ mac: "foreign", node: "node1" }) });
    bench.announce(lenient);
    assert.ok(bench.take().includes(`announce ${x}`));
    bench.setOccupants({});
    bench.setOccupants({ [x.toString()]: "" });
    bench.sight("foreign", "uses");
    assert.equal(bench.state.conflicts.defended.get(x.toString())?.isAnnounced, true);
    assert.deepEqual(bench.noted, ["began foreign"]);
    bench.announce({ ...first, isFirst: false });
    assert.equal(bench.state.conflicts.defended.get(x.toString())?.isAnnounced, false, "it is strict now");
  });
}

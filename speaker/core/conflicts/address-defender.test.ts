import assert from "node:assert/strict";
import { test } from "node:test";
import { elect } from "#pkg/placement";
import { ConflictBench, first, x } from "../../testing/conflict-bench.ts";
import { currentConflicts, reannounceAddress, withdrawAddress } from "./address-defender.ts";

const winner = elect(["node1", "node2"], x) ?? "";
const loser = winner === "node1" ? "node2" : "node1";

test("what another node announced before is announced at once, also where new addresses have to be free", () => {
  const bench = new ConflictBench("node1");
  bench.announce();
  assert.deepEqual(bench.take(), [`announce ${x}`]);
});

test("a first announcement waits for nobody to answer where it has to be free, and does not elsewhere", () => {
  for (const [conflictProbe, want] of [
    ["off", [`announce ${x}`]],
    ["report", [`announce ${x}`, ...Array(3).fill(`probe all for ${x}`)]],
    ["strict", [`listen ${x}`, ...Array(3).fill(`probe all for ${x}`), `announce ${x}`]],
  ] as const) {
    const bench = new ConflictBench("node1");
    bench.announce({ ...first, conflictProbe });
    bench.clock.advanceBy(1000);
    assert.deepEqual(bench.take(), want);
  }
});

test("an address that is not free is reported and never announced", () => {
  const bench = new ConflictBench("node1");
  bench.announce(first);
  bench.sight("foreign", "uses");
  bench.clock.advanceBy(60_000);
  assert.deepEqual(bench.reported, ["occupied foreign"]);
  assert.ok(!bench.take().includes(`announce ${x}`));
});

test("what is known to be another host's is not announced, also by a successor, until it is free and nobody answers", () => {
  const bench = new ConflictBench("node1");
  bench.setOccupants({ [x.toString()]: "" });
  bench.announce();
  bench.clock.advanceBy(60_000);
  assert.deepEqual(bench.take(), [`listen ${x}`]);
  bench.setOccupants({});
  bench.clock.advanceBy(1000);
  assert.deepEqual(bench.take().at(-1), `announce ${x}`);
  bench.setOccupants({ [x.toString()]: "" });
  assert.deepEqual(bench.take(), [`listen ${x}`]);
});

test("of two nodes that do not see each other one stops answering, the other does not, and the first is back once the ring is whole", () => {
  const [wins, loses] = [new ConflictBench(winner), new ConflictBench(loser)];
  for (const [bench, other] of [
    [wins, loser],
    [loses, winner],
  ] as const) {
    bench.membersChanged(bench.state.node);
    bench.announce();
    bench.clock.advanceBy(10_000);
    bench.sightFrom(other);
    assert.deepEqual(bench.reported, [`began ${other}`]);
  }
  assert.ok(!wins.take().includes(`listen ${x}`));
  assert.ok(loses.take().includes(`listen ${x}`));
  assert.deepEqual(
    [wins, loses].map(({ state }) => currentConflicts(state).map(({ node, followed }) => [node, followed])),
    [[[loser, false]], [[winner, true]]],
  );
  loses.run((effects) => reannounceAddress(loses.state, x, effects));
  assert.deepEqual(loses.take(), [], "a yielded address stays so");
  loses.membersChanged("node1", "node2");
  loses.clock.advanceBy(500);
  assert.deepEqual(loses.take().at(-1), `announce ${x}`);
  assert.deepEqual(loses.reported.at(-1), `ended ${winner}`);
});

test("an address that is withdrawn is forgotten with its conflicts", () => {
  const bench = new ConflictBench("node1");
  bench.announce();
  bench.sight("foreign");
  bench.run((effects) => withdrawAddress(bench.state, x, effects));
  assert.deepEqual(bench.reported, ["began foreign", "ended foreign"]);
  const { defended, deadlines } = bench.state.conflicts;
  assert.deepEqual([currentConflicts(bench.state), defended.size, deadlines.next], [[], 0, Infinity]);
  assert.deepEqual(bench.take().at(-1), `withdraw ${x}`);
});

test("other interfaces are passed on, and do not begin anew", () => {
  const bench = new ConflictBench("node1");
  bench.announce();
  bench.announce({ ...first, interfaces: ["eth1"] });
  assert.deepEqual(bench.take(), [`announce ${x}`, `announce ${x} on eth1`]);
});

test("a node that leaves defends nothing", () => {
  const bench = new ConflictBench("node1");
  bench.announce();
  bench.runner[Symbol.dispose]();
  bench.sight("foreign");
  assert.deepEqual(bench.reported, []);
});
